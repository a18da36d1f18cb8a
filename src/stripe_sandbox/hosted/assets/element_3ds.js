// The bank's question inside a dialog of the page: sends the answer to the sandbox, then tells the page that it is done.
(() => {
  const secret = new URLSearchParams(location.search).get("client_secret");
  const key = new URLSearchParams(location.search).get("key");
  const buttons = [...document.querySelectorAll("button")];
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      for (const one of buttons) one.disabled = true;
      const body = JSON.stringify({ key, client_secret: secret, outcome: button.dataset.outcome });
      try {
        await fetch("/elements/authenticate", { method: "POST", body });
        // Nothing secret is said: the page asks the sandbox how it ended.
        window.parent.postMessage({ event: "done" }, "*");
      } catch {
        for (const one of buttons) one.disabled = false;
      }
    });
  }
  // Until now nobody would have heard a click.
  for (const one of buttons) one.disabled = false;
  window.parent.postMessage({ event: "ready" }, "*");
})();
