// What lists with boxes to tick share: all of them at once, and the question in a dialog before something is done with them.

const form = document.querySelector("form[data-ask]");
const dialog = document.getElementById("dialog");
const all = form?.querySelector("[data-all]");

if (form) {
  const boxes = () => [...form.querySelectorAll('input[name="id"]')];
  const buttons = [...form.querySelectorAll('button[name="do"]')];
  const master = all.querySelector("input");

  // Nothing can be done with nothing.
  const update = () => {
    const n = boxes().filter((b) => b.checked).length;
    for (const b of buttons) b.disabled = n === 0;
    master.checked = n > 0 && n === boxes().length;
    master.indeterminate = n > 0 && n < boxes().length;
  };

  all.hidden = false;
  master.addEventListener("change", () => {
    for (const b of boxes()) b.checked = master.checked;
    update();
  });
  form.addEventListener("change", update);
  window.addEventListener("pageshow", update); // the browser ticks again what was ticked before
  update();

  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const to = new URL(form.action);
    to.search = new URLSearchParams(new FormData(form, e.submitter));
    try {
      const answer = await fetch(to, { headers: { Accept: "text/html", "HX-Request": "true" } });
      if (!answer.ok) throw new Error(answer.status);
      dialog.innerHTML = await answer.text();
      dialog.showModal();
    } catch {
      location.href = to;
    }
  });
}
