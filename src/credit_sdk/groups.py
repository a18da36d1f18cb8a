"""The calls of the clients by noun, over a sender that blocks or one that is awaited.

What a call sends and answers stands in ``requests*.py`` and ``batches.py``.
"""

from __future__ import annotations

from typing import Generic

from credit_sdk import (
    batches,
    requests,
    requests_of_apps,
    requests_of_budgets,
    requests_of_cards,
    requests_of_checkouts,
    requests_of_holds,
    requests_of_identity,
    requests_of_payments,
    requests_of_reconciliations,
    requests_of_subscriptions,
)
from credit_sdk.operations import Group, Operation, S


class Wallets(Group[S]):
    """Balances and history."""

    get = Operation(requests.wallet)
    list = Operation(requests.wallets)
    transfers = Operation(requests.history)
    lots = Operation(requests.lots)
    freeze = Operation(requests_of_payments.freeze)
    thaw = Operation(requests_of_payments.thaw)


class Transfers(Group[S]):
    """Spend and add credits."""

    spend = Operation(requests.spend)
    grant = Operation(requests.grant)
    batch = Operation(batches.batch)
    give_back = Operation(requests.give_back)
    get = Operation(requests.transfer)


class Holds(Group[S]):
    """Credits set aside for work of unknown cost."""

    place = Operation(requests_of_holds.place)
    extend = Operation(requests_of_holds.extend)
    hand_on = Operation(requests_of_holds.hand_on)
    capture = Operation(requests_of_holds.capture)
    release = Operation(requests_of_holds.release)
    get = Operation(requests_of_holds.hold)
    list = Operation(requests_of_holds.holds)


class Budgets(Group[S]):
    """Limits over a wallet: a tree of teams, members, keys, runs."""

    create = Operation(requests_of_budgets.create_budget)
    list = Operation(requests_of_budgets.budgets)
    get = Operation(requests_of_budgets.budget)
    update = Operation(requests_of_budgets.update_budget)


class Caps(Group[S]):
    """What a signed-in user lets each app spend in a month."""

    set = Operation(requests_of_budgets.set_cap)
    list = Operation(requests_of_budgets.caps)


class Products(Group[S]):
    """What can be bought."""

    list = Operation(requests_of_checkouts.products)


class Checkouts(Group[S]):
    """Purchases."""

    create = Operation(requests_of_checkouts.create_checkout)
    get = Operation(requests_of_checkouts.checkout)


class Payments(Group[S]):
    """What was paid, and refunds of it."""

    list = Operation(requests_of_payments.payments)
    get = Operation(requests_of_payments.payment)
    preview_refund = Operation(requests_of_payments.preview_refund)
    refund = Operation(requests_of_payments.refund)


class Subscriptions(Group[S]):
    """Plans that are paid for in periods."""

    begin = Operation(requests_of_subscriptions.begin)
    list = Operation(requests_of_subscriptions.subscriptions)
    get = Operation(requests_of_subscriptions.subscription)
    preview = Operation(requests_of_subscriptions.preview)
    change = Operation(requests_of_subscriptions.change)
    cancel = Operation(requests_of_subscriptions.cancel)
    reactivate = Operation(requests_of_subscriptions.reactivate)
    pause = Operation(requests_of_subscriptions.pause)
    resume = Operation(requests_of_subscriptions.resume)


class PaymentIntents(Group[S]):
    """Payments in the payment form, and top-ups that wait for their customer."""

    create = Operation(requests_of_cards.create_payment_intent)
    get = Operation(requests_of_cards.payment_intent)
    complete = Operation(requests_of_cards.complete_payment_intent)


class PaymentMethods(Group[S]):
    """What a customer saved to pay with; needs their own session."""

    save = Operation(requests_of_cards.create_setup_intent)
    list = Operation(requests_of_cards.payment_methods)
    set_default = Operation(requests_of_cards.set_default_payment_method)
    remove = Operation(requests_of_cards.remove_payment_method)
    open_portal = Operation(requests_of_cards.create_portal_session)


class TopUps(Group[S]):
    """Auto top-up with a saved card; needs the customer's own session."""

    set = Operation(requests_of_cards.set_top_up)
    get = Operation(requests_of_cards.top_up)
    end = Operation(requests_of_cards.end_top_up)
    charges = Operation(requests_of_cards.top_up_charges)


class Reconciliations(Group[S]):
    """Comparisons of Stripe with the books, and what they found; needs an admin's session."""

    ask = Operation(requests_of_reconciliations.ask)
    list = Operation(requests_of_reconciliations.reconciliations)
    get = Operation(requests_of_reconciliations.reconciliation)
    findings = Operation(requests_of_reconciliations.findings)
    acknowledge = Operation(requests_of_reconciliations.acknowledge)


class Users(Group[S]):
    """Accounts of people."""

    create = Operation(requests_of_identity.create_user)
    get = Operation(requests_of_identity.user)
    me = Operation(requests_of_identity.me)


class Sessions(Group[S]):
    """Sign in and out."""

    create = Operation(requests_of_identity.create_session)
    refresh = Operation(requests_of_identity.refresh_session)
    delete = Operation(requests_of_identity.delete_session)


class Apps(Group[S]):
    """Apps and their API keys; needs an admin's session."""

    create = Operation(requests_of_apps.create_app)
    list = Operation(requests_of_apps.apps)
    get = Operation(requests_of_apps.app)
    update = Operation(requests_of_apps.update_app)
    create_key = Operation(requests_of_apps.create_key)
    list_keys = Operation(requests_of_apps.keys)
    delete_key = Operation(requests_of_apps.delete_key)
    create_database_login = Operation(requests_of_apps.create_database_login)


class Calls(Generic[S]):
    """The groups of both clients, over one sender."""

    def __init__(self, sender: S) -> None:
        self._sender: S = sender
        self.wallets: Wallets[S] = Wallets(sender)
        self.transfers: Transfers[S] = Transfers(sender)
        self.holds: Holds[S] = Holds(sender)
        self.budgets: Budgets[S] = Budgets(sender)
        self.caps: Caps[S] = Caps(sender)
        self.products: Products[S] = Products(sender)
        self.checkouts: Checkouts[S] = Checkouts(sender)
        self.payments: Payments[S] = Payments(sender)
        self.subscriptions: Subscriptions[S] = Subscriptions(sender)
        self.payment_intents: PaymentIntents[S] = PaymentIntents(sender)
        self.payment_methods: PaymentMethods[S] = PaymentMethods(sender)
        self.top_ups: TopUps[S] = TopUps(sender)
        self.reconciliations: Reconciliations[S] = Reconciliations(sender)
        self.users: Users[S] = Users(sender)
        self.sessions: Sessions[S] = Sessions(sender)
        self.apps: Apps[S] = Apps(sender)
