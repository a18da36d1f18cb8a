// Makes the checkout form pleasant: spaces in the card number, errors without a new page.
// The form works without it.
(() => {
  const form = document.getElementById("payment-form");
  if (!form) return;
  const byId = (id) => document.getElementById(id);
  const error = byId("payment-error");
  const submit = byId("submit");
  const number = byId("cardNumber");
  const expiry = byId("cardExpiry");

  const digits = (text, most) => text.replace(/\D/g, "").slice(0, most);
  if (number) {
    number.addEventListener("input", () => {
      number.value = digits(number.value, 19).replace(/(.{4})(?=.)/g, "$1 ");
    });
    expiry.addEventListener("input", (event) => {
      const plain = digits(expiry.value, 4);
      const typing = event.inputType !== "deleteContentBackward";
      expiry.value = plain.length > 2 || (plain.length === 2 && typing)
        ? `${plain.slice(0, 2)} / ${plain.slice(2)}` : plain;
    });
    for (const fill of document.querySelectorAll(".fill")) {
      fill.addEventListener("click", () => {
        byId("method-card").click();
        number.value = fill.dataset.number.replace(/(.{4})(?=.)/g, "$1 ");
        number.focus();
      });
    }
    const choose = () => {
      const bank = byId("method-bank").checked;
      byId("card-fields").hidden = bank;
      byId("bank-note").hidden = !bank;
    };
    byId("method-card").addEventListener("change", choose);
    byId("method-bank").addEventListener("change", choose);
    choose();
  }

  const mark = (field) => {
    for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    const wrong = field ? byId(field) : null;
    if (!wrong || wrong.tagName !== "INPUT") return false;
    wrong.setAttribute("aria-invalid", "true");
    wrong.setAttribute("aria-describedby", "payment-error");
    wrong.focus();
    return true;
  };
  const show = (message, field) => {
    error.textContent = message;
    error.hidden = false;
    if (!mark(field)) error.focus();
  };
  if (form.dataset.field) mark(form.dataset.field);

  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    submit.setAttribute("aria-busy", "true");
    error.hidden = true;
    mark("");
    try {
      const answer = await fetch(form.action || location.href, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
      });
      const result = await answer.json();
      if (result.redirect) {
        location.assign(result.redirect);
        return;
      }
      show(result.error.message, result.error.field);
    } catch {
      show("The payment page could not be reached. Nothing was charged; try again.", "");
    }
    busy = false;
    submit.removeAttribute("aria-busy");
  });
})();
