// Runs before the first paint: the menu must not flicker, nor a page show that needs an account.
(() => {
  const KEY = "anb.session";
  const ANSWER_MILLISECONDS = 250; // within which another tab that is signed in says so
  const root = document.documentElement;

  function isIn(session) {
    return Boolean(session && session.ends > Date.now());
  }

  function kept() {
    try {
      return JSON.parse(sessionStorage.getItem(KEY));
    } catch {
      return null; // storage is forbidden or holds something else: nobody is signed in
    }
  }

  /** A tab of one's own knows nobody; one that is open beside it may. */
  function askOtherTabs() {
    return new Promise((resolve) => {
      const channel = new BroadcastChannel(KEY);
      const finish = (found) => {
        channel.close();
        resolve(found);
      };
      channel.onmessage = ({ data }) => {
        if (isIn(data.begun)) finish(data.begun);
      };
      setTimeout(() => finish(null), ANSWER_MILLISECONDS);
      channel.postMessage({ asks: true });
    });
  }

  async function begin() {
    const session = kept();
    if (isIn(session)) return;
    const found = await askOtherTabs();
    if (found) {
      sessionStorage.setItem(KEY, JSON.stringify(found));
      root.dataset.session = "in";
    } else if ("needsAccount" in root.dataset) {
      const reason = session ? "vencida" : "cuenta";
      const here = location.pathname + location.search;
      location.replace(`/ingresar?motivo=${reason}&volver=${encodeURIComponent(here)}`);
      await new Promise(() => {}); // nothing on this page is to begin any more
    } else {
      root.dataset.session = "out";
    }
  }

  root.dataset.session = isIn(kept()) ? "in" : "asking";
  window.anbSession = begin();
})();
