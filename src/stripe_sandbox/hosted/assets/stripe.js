// Stands in for Stripe.js in front of the sandbox: Payment Element, Card Element, confirmation, 3-D Secure.
// What it does not have throws an IntegrationError, so that no page works here and fails at Stripe unnoticed.
(() => {
  "use strict";
  if (window.Stripe) return;
  const SANDBOX = "SANDBOX_URL";
  const TRAIN = "endive";

  class IntegrationError extends Error {
    constructor(message) {
      super(message);
      this.name = "IntegrationError";
    }
  }
  const refuse = (message) => {
    throw new IntegrationError(message);
  };

  // Asking the sandbox --------------------------------------------------------------------------------------------

  const ask = async (what, question) => {
    try {
      const answer = await fetch(`${SANDBOX}/elements/${what}`, { method: "POST", body: JSON.stringify(question) });
      return await answer.json();
    } catch {
      const message = "We are experiencing issues connecting to our payments provider. Please try again.";
      return { error: { type: "api_connection_error", message } };
    }
  };

  let frames = 0;
  const newFrame = (path, title) => {
    const frame = document.createElement("iframe");
    frames += 1;
    Object.assign(frame, { name: `__privateStripeFrame${frames}`, title, src: `${SANDBOX}/elements/${path}` });
    frame.setAttribute("scrolling", "no");
    return frame;
  };

  // Hears a frame of ours and nobody else; `say` resolves with the frame's answer.
  const talkTo = (frame, hear) => {
    const waiting = new Map();
    let asked = 0;
    let begin;
    const begun = new Promise((resolve) => { begin = resolve; });
    const listen = ({ source, origin, data }) => {
      if (source !== frame.contentWindow || origin !== SANDBOX) return;
      if (data.answers) {
        waiting.get(data.answers)?.(data.result);
        waiting.delete(data.answers);
        return;
      }
      if (data.event === "ready") begin();
      hear(data);
    };
    window.addEventListener("message", listen);
    return {
      async say(what, given) {
        await begun;
        asked += 1;
        const id = asked;
        return new Promise((resolve) => {
          waiting.set(id, resolve);
          frame.contentWindow.postMessage({ ask: what, id, given }, SANDBOX);
        });
      },
      hangUp: () => window.removeEventListener("message", listen),
    };
  };

  // Elements ------------------------------------------------------------------------------------------------------

  const KINDS = {
    payment: { title: "Secure payment input frame", height: 190 },
    card: { title: "Secure card payment input frame", height: 40 },
  };

  const STYLED = ["colorPrimary", "colorBackground", "colorText", "colorTextSecondary", "colorTextPlaceholder", "colorDanger", "borderRadius", "fontFamily", "fontSizeBase"];

  class Element {
    constructor(elements, type, options) {
      Object.assign(this, { _elements: elements, _type: type, _options: options, _handlers: {}, _frame: null });
    }

    mount(target) {
      const place = typeof target === "string" ? document.querySelector(target) : target;
      if (!place) refuse(`The selector you specified (${target}) applies to no DOM elements that are currently on the page.`);
      if (this._destroyed) refuse("This Element has already been destroyed. Please create a new one.");
      this.unmount();
      const { title, height } = KINDS[this._type];
      this._place = place;
      this._frame = newFrame(this._type, title);
      // Room for the ring around a field that has the focus.
      Object.assign(this._frame.style, { display: "block", border: "0", width: "calc(100% + 8px)", height: `${height}px`, margin: "-4px", colorScheme: "normal" });
      this._line = talkTo(this._frame, (message) => this._hear(message));
      place.replaceChildren(this._frame);
      place.classList.add("StripeElement", "StripeElement--empty");
      this._restyle();
      return this;
    }

    unmount() {
      this._line?.hangUp();
      this._frame?.remove();
      this._place?.classList.remove("StripeElement", ...["empty", "complete", "focus", "invalid"].map((name) => `StripeElement--${name}`));
      Object.assign(this, { _line: null, _frame: null, _place: null });
      return this;
    }

    destroy() {
      this.unmount();
      this._destroyed = true;
      this._elements._forget(this);
      return this;
    }

    on(event, handler) {
      (this._handlers[event] ??= []).push(handler);
      return this;
    }

    once(event, handler) {
      const once = (told) => {
        this.off(event, once);
        handler(told);
      };
      return this.on(event, once);
    }

    off(event, handler) {
      this._handlers[event] = handler ? (this._handlers[event] ?? []).filter((one) => one !== handler) : [];
      return this;
    }

    update(options) {
      this._options = { ...this._options, ...options };
      this._restyle();
      return this;
    }

    focus() { this._line?.say("focus"); return this; }
    blur() { this._line?.say("blur"); return this; }
    clear() { this._line?.say("clear"); return this; }
    collapse() { return this; }

    _say(what, given) {
      if (!this._line) refuse("This Element is not mounted. Please make sure it is mounted before you use it.");
      return this._line.say(what, given);
    }

    _restyle() {
      const base = this._options.style?.base ?? {};
      const own = { colorText: base.color, fontSizeBase: base.fontSize, fontFamily: base.fontFamily };
      const wanted = [...Object.entries(this._elements._variables()), ...Object.entries(own)];
      const variables = Object.fromEntries(wanted.filter(([name, value]) => STYLED.includes(name) && value !== undefined));
      const disabled = this._options.disabled ?? this._options.readOnly;
      this._line?.say("options", { variables, disabled });
    }

    _emit(event, told = {}) {
      for (const handler of [...(this._handlers[event] ?? [])]) handler({ elementType: this._type, ...told });
    }

    async _hear({ event, height, ...told }) {
      const mark = (name, on) => this._place?.classList.toggle(`StripeElement--${name}`, on);
      if (event === "height") this._frame.style.height = `${height}px`;
      else if (event === "enter") this._frame.closest("form")?.requestSubmit();
      else if (event === "ready") {
        const problem = await this._elements._problem();
        this._emit(problem ? "loaderror" : "ready", problem ? { error: problem } : {});
      } else if (event === "change") {
        if (told.edited) this._elements._changed();
        mark("empty", told.empty);
        mark("complete", told.complete);
        mark("invalid", Boolean(told.error));
        const { empty, complete, brand, error } = told;
        const state = JSON.stringify([empty, complete, brand, error]);
        if (state === this._state) return;
        this._state = state;
        this._emit("change", this._type === "card" ? { empty, complete, brand, error, value: { postalCode: "" } }
          : { empty, complete, collapsed: false, value: { type: "card" } });
      } else {
        if (event === "focus" || event === "blur") mark("focus", event === "focus");
        this._emit(event);
      }
    }
  }

  class Elements {
    constructor(stripe, options = {}) {
      if (options.clientSecret !== undefined) kindOf(options.clientSecret);
      if (options.mode && !["payment", "setup", "subscription"].includes(options.mode)) {
        refuse(`Invalid value for elements(): mode should be one of payment, setup, subscription. You specified: ${options.mode}.`);
      }
      if (["payment", "subscription"].includes(options.mode) && !(Number.isInteger(options.amount) && options.currency)) {
        refuse(`elements() with mode ${options.mode} needs an amount, in the smallest unit, and a currency.`);
      }
      Object.assign(this, { _stripe: stripe, _options: options, _made: [], _submitted: false });
    }

    create(type, options = {}) {
      if (!KINDS[type]) refuse(`The sandbox has the elements ${Object.keys(KINDS).join(" and ")}, not ${type}.`);
      if (type === "payment" && !this._options.clientSecret && !this._options.mode) {
        refuse("In order to create a payment element, you must pass a clientSecret or a mode to elements().");
      }
      if (this.getElement(type)) refuse(`Can only create one Element of type ${type}.`);
      const made = new Element(this, type, options);
      this._made.push(made);
      return made;
    }

    getElement(type) {
      return this._made.find((one) => one._type === type) ?? null;
    }

    update(options) {
      if ("clientSecret" in options) refuse("elements.update(): clientSecret cannot be changed after elements() was called.");
      this._options = { ...this._options, ...options };
      for (const one of this._made) one._restyle();
    }

    async submit() {
      const { error } = await this._element()._say("submit");
      this._submitted = !error;
      return error ? { error } : { selectedPaymentMethod: "card" };
    }

    async fetchUpdates() {
      const error = await this._problem();
      return error ? { error } : {};
    }

    _element() {
      return this.getElement("payment") ?? refuse("elements should have a mounted Payment Element.");
    }

    // With a mode in place of a secret, Stripe wants elements.submit() before anything is confirmed.
    _mustBeSubmitted(what) {
      if (!this._options.clientSecret && !this._submitted) refuse(`elements.submit() must be called before stripe.${what}().`);
    }

    async _problem() {
      const secret = this._options.clientSecret;
      return secret ? (await this._stripe._retrieve(secret)).error : undefined;
    }

    // What the page showed a price for must be what is paid.
    async _mismatch(secret) {
      const { mode, amount, currency } = this._options;
      if (mode !== "payment") return undefined;
      const { intent, error } = await this._stripe._retrieve(secret);
      if (error || (intent.amount === amount && intent.currency === String(currency).toLowerCase())) return error;
      const message = `The amount and currency given to elements() (${amount} ${currency}) are not those of the PaymentIntent (${intent.amount} ${intent.currency}).`;
      return { type: "invalid_request_error", message };
    }

    _variables() {
      const night = { colorBackground: "#30313d", colorText: "#fff", colorTextSecondary: "#c6ccd8", colorTextPlaceholder: "#a3acba", colorPrimary: "#85d996", colorDanger: "#fe87a1" };
      const { theme, variables } = this._options.appearance ?? {};
      return { ...(theme === "night" ? night : {}), ...variables };
    }

    _changed() {
      this._submitted = false;
    }

    _forget(element) {
      this._made = this._made.filter((one) => one !== element);
    }
  }

  // Intents -------------------------------------------------------------------------------------------------------

  const NAMES = { payment_intent: "paymentIntent", setup_intent: "setupIntent" };
  const kindOf = (secret) => {
    const found = /^(pi|seti)_[A-Za-z0-9]+_secret_[A-Za-z0-9]+$/.exec(String(secret));
    if (!found) refuse("Invalid value for clientSecret: it should be a client secret of the form ${id}_secret_${secret}.");
    return found[1] === "pi" ? "payment_intent" : "setup_intent";
  };
  const named = (intent) => ({ [NAMES[intent.object]]: intent });

  // Shows the bank's question over the whole page, until it is answered.
  const askTheBank = (key, intent) => new Promise((resolve) => {
    const query = new URLSearchParams({ client_secret: intent.client_secret, key });
    const frame = newFrame(`3ds/${intent.id}?${query}`, "3-D Secure authentication");
    const dialog = document.createElement("dialog");
    Object.assign(dialog.style, { display: "grid", placeItems: "center", width: "100vw", height: "100vh", maxWidth: "none", maxHeight: "none", boxSizing: "border-box", margin: "0", padding: "12px", border: "0", background: "rgb(10 15 30 / 55%)" });
    Object.assign(frame.style, { display: "block", width: "min(400px, 100%)", height: "min(310px, 100%)", border: "0", borderRadius: "12px", background: "#fff" });
    let answered = false;
    const end = () => {
      if (answered) return;
      answered = true;
      line.hangUp();
      dialog.close();
      dialog.remove();
      resolve();
    };
    const line = talkTo(frame, ({ event }) => {
      if (event === "ready") frame.focus();
      if (event === "done") end();
    });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    // A browser may close it nevertheless; then the question was not answered, and that is a no.
    dialog.addEventListener("close", async () => {
      if (answered) return;
      await ask("authenticate", { key, client_secret: intent.client_secret, outcome: "fail" });
      end();
    });
    dialog.append(frame);
    document.body.append(dialog);
    dialog.showModal();
  });

  class Client {
    constructor(key) {
      this._key = key;
    }

    elements(options) {
      return new Elements(this, options);
    }

    confirmPayment(given) { return this._confirm("payment_intent", "confirmPayment", given); }
    confirmSetup(given) { return this._confirm("setup_intent", "confirmSetup", given); }
    confirmCardPayment(secret, data, options) { return this._confirmCard("payment_intent", secret, data, options); }
    confirmCardSetup(secret, data, options) { return this._confirmCard("setup_intent", secret, data, options); }
    retrievePaymentIntent(secret) { return this._look("payment_intent", secret); }
    retrieveSetupIntent(secret) { return this._look("setup_intent", secret); }
    handleCardAction(secret) { return this.handleNextAction({ clientSecret: secret }); }

    async handleNextAction({ clientSecret }) {
      const { intent, error } = await this._retrieve(clientSecret);
      return error ? { error } : this._acted(intent);
    }

    async createPaymentMethod(given) {
      const { elements, type, card, params, billing_details, metadata } = given;
      if (elements) elements._mustBeSubmitted("createPaymentMethod");
      else if (type !== "card" || !(card instanceof Element)) refuse("createPaymentMethod takes elements, or type card with a Card Element.");
      const element = elements ? elements._element() : card;
      const details = { billing_details, metadata, ...params };
      const { payment_method: paymentMethod, error } = await element._say("payment_method", { key: this._key, ...details });
      return error ? { error } : { paymentMethod };
    }

    registerAppInfo() {}
    _registerWrapper() {}

    async _confirm(kind, what, { elements, clientSecret, confirmParams = {}, redirect = "always" } = {}) {
      const secret = clientSecret ?? elements?._options.clientSecret ?? refuse(`stripe.${what}(): a clientSecret is needed.`);
      if (kindOf(secret) !== kind) refuse(`stripe.${what}(): this client secret is of a ${kindOf(secret)}.`);
      const { payment_method, payment_method_data, ...params } = confirmParams;
      if (redirect === "always" && !params.return_url) refuse(`stripe.${what}(): confirmParams.return_url is needed unless redirect is if_required.`);
      if (params.return_url) new URL(params.return_url);
      const question = { key: this._key, client_secret: secret, params };
      let result;
      if (elements) {
        elements._mustBeSubmitted(what);
        const mismatch = await elements._mismatch(secret);
        if (mismatch) return { error: mismatch };
        result = await elements._element()._say("confirm", { ...question, billing_details: payment_method_data?.billing_details });
      } else {
        result = await ask("confirm", { ...question, params: { ...params, payment_method } });
      }
      const ended = result.error ? result : await this._acted(result.intent);
      if (ended.error || redirect !== "always") return ended;
      return this._goBack(params.return_url, ended[NAMES[kind]]);
    }

    async _confirmCard(kind, secret, { payment_method: method, ...params } = {}, { handleActions = true } = {}) {
      if (kindOf(secret) !== kind) refuse(`This client secret is of a ${kindOf(secret)}.`);
      const question = { key: this._key, client_secret: secret };
      const result = method?.card instanceof Element
        ? await method.card._say("confirm", { ...question, params, billing_details: method.billing_details })
        : await ask("confirm", { ...question, params: { ...params, payment_method: method } });
      if (result.error) return result;
      return handleActions ? this._acted(result.intent) : named(result.intent);
    }

    // Has the bank asked if it wants to, and says how it ended.
    async _acted(intent) {
      if (intent.status !== "requires_action") return named(intent);
      await askTheBank(this._key, intent);
      const after = await this._retrieve(intent.client_secret);
      if (after.error) return { error: after.error };
      const refused = after.intent.last_payment_error ?? after.intent.last_setup_error;
      return refused ? { error: { ...refused, [after.intent.object]: after.intent } } : named(after.intent);
    }

    _goBack(returnUrl, intent) {
      const url = new URL(returnUrl);
      url.searchParams.append(intent.object, intent.id);
      url.searchParams.append(`${intent.object}_client_secret`, intent.client_secret);
      url.searchParams.append("redirect_status", intent.status === "succeeded" ? "succeeded" : "pending");
      window.location.assign(url);
      return new Promise(() => {}); // the page is left
    }

    async _look(kind, secret) {
      if (kindOf(secret) !== kind) refuse(`This client secret is of a ${kindOf(secret)}.`);
      const { intent, error } = await this._retrieve(secret);
      return error ? { error } : named(intent);
    }

    _retrieve(secret) {
      kindOf(secret);
      return ask("retrieve", { key: this._key, client_secret: secret });
    }
  }

  const ABSENT = ["createToken", "createSource", "createConfirmationToken", "initEmbeddedCheckout", "createEmbeddedCheckoutPage", "initCheckout", "initCheckoutElementsSdk", "initCheckoutFormSdk", "paymentRequest", "redirectToCheckout", "confirmUsBankAccountPayment", "confirmSepaDebitPayment", "verifyMicrodepositsForPayment"];
  for (const name of ABSENT) {
    Client.prototype[name] = () => refuse(`The sandbox's script does not have stripe.${name}().`);
  }

  function Stripe(key) {
    if (typeof key !== "string" || !key.startsWith("pk_")) refuse("Please call Stripe() with your publishable key. You used something else, such as a secret key.");
    if (!key.startsWith("pk_test_")) refuse("This is a sandbox: it takes publishable keys that begin with pk_test_, never live ones.");
    return new Client(key);
  }
  Stripe.version = TRAIN;
  window.Stripe = Stripe;
})();
