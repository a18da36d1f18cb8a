-- The other ways into ledger tables, beside post_v1: open a wallet, claim a Stripe object for it.

CREATE FUNCTION tallybook.open_wallet_v1(p_now timestamptz, p_user_id bigint, p_organisation_id bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_wallet_id bigint;
BEGIN
    LOOP
        SELECT wallets.wallet_id INTO v_wallet_id FROM wallets
        WHERE wallets.is_default AND (
            wallets.owner_user_id = p_user_id OR wallets.owner_organisation_id = p_organisation_id
        );
        IF FOUND THEN RETURN v_wallet_id; END IF;
        INSERT INTO wallets (owner_user_id, owner_organisation_id, digest, created_at, updated_at)
        VALUES (p_user_id, p_organisation_id, first_digest_v1(p_user_id, p_organisation_id), p_now, p_now)
        ON CONFLICT DO NOTHING RETURNING wallets.wallet_id INTO v_wallet_id;
        IF FOUND THEN RETURN v_wallet_id; END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION tallybook.open_wallet_v1(timestamptz, bigint, bigint) IS
'The default wallet of a user or of an organisation; opened if there is none.';

CREATE FUNCTION tallybook.claim_v1(
    p_now timestamptz, p_livemode boolean, p_object_kind text, p_object_id text, p_wallet_id bigint
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = tallybook, pg_catalog, pg_temp AS $$
DECLARE
    v_holder bigint;
BEGIN
    INSERT INTO claims (livemode, object_kind, object_id, wallet_id, created_at)
    VALUES (p_livemode, p_object_kind, p_object_id, p_wallet_id, p_now)
    ON CONFLICT DO NOTHING;
    SELECT claims.wallet_id INTO STRICT v_holder FROM claims
    WHERE claims.livemode = p_livemode
        AND claims.object_kind = p_object_kind AND claims.object_id = p_object_id;
    RETURN v_holder;
END $$;
COMMENT ON FUNCTION tallybook.claim_v1(timestamptz, boolean, text, text, bigint) IS
'Claim a Stripe object for a wallet; gives back the wallet that holds the claim, which may be another.';
