// The card fields inside a page: checks what is typed as it is typed, and sends it to the sandbox when the page asks to.
// The page hears whether the fields are complete, never what is in them.
(() => {
  const form = document.getElementById("card");
  const inputs = Object.fromEntries([...form.querySelectorAll("input")].map((input) => [input.dataset.field, input]));
  const type = document.body.className;
  const tell = (message) => window.parent.postMessage(message, "*");

  // What is typed -------------------------------------------------------------------------------------------------

  const digits = (field) => inputs[field].value.replace(/\D/g, "");
  const BRANDS = [["visa", /^4/], ["mastercard", /^(5[1-5]|2[2-7])/], ["amex", /^3[47]/]];
  const brand = () => (BRANDS.find(([, begins]) => begins.test(digits("number"))) ?? ["unknown"])[0];
  const lengths = () => (brand() === "amex" ? { number: 15, cvc: 4 } : { number: 16, cvc: 3 });
  const luhn = (number) => [...number].reverse().reduce((sum, digit, place) => {
    const value = Number(digit) * (place % 2 ? 2 : 1);
    return sum + (value > 9 ? value - 9 : value);
  }, 0) % 10 === 0;

  const wrong = (code, message) => ({ type: "validation_error", code, message });
  const problems = {
    number() {
      if (digits("number").length < lengths().number) return wrong("incomplete_number", "Your card number is incomplete.");
      return luhn(digits("number")) ? null : wrong("invalid_number", "Your card number is invalid.");
    },
    expiry() {
      const typed = digits("expiry");
      if (typed.length < 4) return wrong("incomplete_expiry", "Your card's expiration date is incomplete.");
      const [month, year, now] = [Number(typed.slice(0, 2)), 2000 + Number(typed.slice(2)), new Date()];
      if (month < 1 || month > 12) return wrong("invalid_expiry_month", "Your card's expiration month is invalid.");
      if (year < now.getFullYear()) return wrong("invalid_expiry_year_past", "Your card's expiration year is in the past.");
      if (year > now.getFullYear() + 50) return wrong("invalid_expiry_year", "Your card's expiration year is invalid.");
      const gone = year === now.getFullYear() && month < now.getMonth() + 1;
      return gone ? wrong("invalid_expiry_month_past", "Your card's expiration date is in the past.") : null;
    },
    cvc() {
      return digits("cvc").length < lengths().cvc ? wrong("incomplete_cvc", "Your card's security code is incomplete.") : null;
    },
  };
  const firstProblem = () => Object.keys(problems).find((field) => problems[field]());

  const group = (number) => (brand() === "amex"
    ? number.replace(/^(.{4})(.{0,6})(.*)$/, (_, ...parts) => parts.slice(0, 3).filter(Boolean).join(" "))
    : number.replace(/(.{4})(?=.)/g, "$1 "));
  const rewrite = {
    number: () => group(digits("number").slice(0, lengths().number)),
    expiry(typing) {
      let typed = digits("expiry").slice(0, 4);
      if (/^[2-9]/.test(typed)) typed = `0${typed}`.slice(0, 4);
      return typed.length > 2 || (typed.length === 2 && typing) ? `${typed.slice(0, 2)} / ${typed.slice(2)}` : typed;
    },
    cvc: () => digits("cvc").slice(0, lengths().cvc),
  };

  // What is shown and told ----------------------------------------------------------------------------------------

  const mark = (field, problem) => {
    const place = document.getElementById(`Field-${field}Error`);
    inputs[field].setAttribute("aria-invalid", String(Boolean(problem)));
    place.textContent = problem?.message ?? "";
    place.hidden = !problem;
  };
  const change = (edited = false) => {
    document.getElementById("brand").textContent = { visa: "VISA", mastercard: "Mastercard", amex: "AMEX" }[brand()] ?? "";
    // A field is at fault once another one was gone to, or full and wrong; until then it is only unfinished.
    const shown = Object.keys(inputs).find((field) => inputs[field].getAttribute("aria-invalid") === "true");
    tell({
      event: "change",
      edited,
      empty: Object.values(inputs).every((input) => !input.value),
      complete: firstProblem() === undefined,
      brand: brand(),
      error: shown ? problems[shown]() ?? undefined : undefined,
    });
  };
  const order = Object.keys(inputs);
  for (const [field, input] of Object.entries(inputs)) {
    input.addEventListener("input", (event) => {
      input.value = rewrite[field](event.inputType !== "deleteContentBackward");
      const problem = problems[field]();
      mark(field, problem && !problem.code.startsWith("incomplete") ? problem : null);
      const next = inputs[order[order.indexOf(field) + 1]];
      if (!problem && next && document.activeElement === input) next.focus();
      change(true);
    });
    input.addEventListener("focus", () => tell({ event: "focus" }));
    input.addEventListener("blur", ({ relatedTarget }) => {
      // Whoever leaves the frame may be about to click the page's button: a line of text that appears under the
      // field now would move the button away from under the pointer. Confirming points everything out anyhow.
      if (!relatedTarget) tell({ event: "blur" });
      else if (input.value) mark(field, problems[field]());
      change();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") tell({ event: "escape" });
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tell({ event: "enter" });
  });
  new ResizeObserver(() => tell({ event: "height", height: document.body.scrollHeight })).observe(document.body);

  // What the page asks for ----------------------------------------------------------------------------------------

  const card = () => ({
    number: digits("number"),
    exp_month: digits("expiry").slice(0, 2),
    exp_year: `20${digits("expiry").slice(2)}`,
    cvc: digits("cvc"),
  });
  const send = async (what, question) => {
    try {
      const answer = await fetch(`/elements/${what}`, { method: "POST", body: JSON.stringify(question) });
      const result = await answer.json();
      const field = { number: "number", exp_month: "expiry", exp_year: "expiry", cvc: "cvc" }[result.error?.param];
      if (field) mark(field, result.error);
      return result;
    } catch {
      const message = "The sandbox could not be reached. Nothing was charged; try again.";
      return { error: { type: "api_connection_error", message } };
    }
  };
  const check = () => {
    for (const field of order) mark(field, problems[field]());
    const first = firstProblem();
    if (first === undefined) return {};
    inputs[first].focus();
    change();
    return { error: problems[first]() };
  };
  const asks = {
    submit: () => check(),
    async confirm({ key, client_secret, params, billing_details }) {
      const wanting = check();
      if (wanting.error) return wanting;
      const payment_method_data = { type: "card", card: card(), billing_details };
      return send("confirm", { key, client_secret, params: { ...params, payment_method_data } });
    },
    async payment_method({ key, billing_details, metadata }) {
      const wanting = check();
      return wanting.error ? wanting : send("payment_methods", { key, params: { type: "card", card: card(), billing_details, metadata } });
    },
    options({ variables = {}, disabled }) {
      for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(`--${name}`, value);
      if (disabled !== undefined) for (const input of Object.values(inputs)) input.disabled = disabled;
      return {};
    },
    focus: () => (inputs.number.focus(), {}),
    blur: () => (document.activeElement?.blur(), {}),
    clear() {
      for (const [field, input] of Object.entries(inputs)) {
        input.value = "";
        mark(field, null);
      }
      change();
      return {};
    },
  };
  window.addEventListener("message", async ({ source, origin, data }) => {
    if (source !== window.parent || !Object.hasOwn(asks, data?.ask ?? "")) return;
    const result = await asks[data.ask](data.given ?? {});
    window.parent.postMessage({ answers: data.id, result }, origin);
  });
  tell({ event: "ready", type });
})();
