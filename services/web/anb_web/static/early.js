// Runs before the first paint: the menu must not flicker, nor a page show that needs an account.
(() => {
  const root = document.documentElement;
  let session = null;
  try {
    session = JSON.parse(sessionStorage.getItem("anb.session"));
  } catch {
    // Storage is forbidden or holds something else: nobody is signed in
  }
  const isIn = Boolean(session && session.ends > Date.now());
  root.dataset.session = isIn ? "in" : "out";
  if (!isIn && "needsAccount" in root.dataset) {
    const reason = session ? "vencida" : "cuenta";
    location.replace(`/ingresar?motivo=${reason}&volver=${encodeURIComponent(location.pathname)}`);
  }
})();
