// <form data-passkey="create|get" data-options="…">: asks the browser for a passkey and sends
// its answer along. On pages with passkeys only.
"use strict";
(() => {
  const read = (text) => Uint8Array.from(
    atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const write = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const opened = (list) => (list ?? []).map((each) => ({ ...each, id: read(each.id) }));

  const ask = (kind, options) => {
    const publicKey = { ...options, challenge: read(options.challenge) };
    if (kind === "get") {
      publicKey.allowCredentials = opened(options.allowCredentials);
      return navigator.credentials.get({ publicKey });
    }
    publicKey.user = { ...options.user, id: read(options.user.id) };
    publicKey.excludeCredentials = opened(options.excludeCredentials);
    return navigator.credentials.create({ publicKey });
  };

  const packed = (made) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature",
      "userHandle"]) {
      if (made.response[name]) response[name] = write(made.response[name]);
    }
    if (made.response.getTransports) response.transports = made.response.getTransports();
    return JSON.stringify({ id: made.id, rawId: write(made.rawId), type: made.type, response });
  };

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const failed = form.querySelector("[data-failed]");
      failed.textContent = "";
      try {
        const made = await ask(form.dataset.passkey, JSON.parse(form.dataset.options));
        form.elements.credential.value = packed(made);
      } catch {
        failed.textContent = failed.dataset.failed;
        return;
      }
      form.submit();
    });
  });
})();
