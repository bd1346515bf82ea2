// A question before something that is easily done and hard to notice. Gives whether the answer is yes.

export function question(text, no, yes) {
  const dialog = document.getElementById("sure");
  return new Promise((answer) => {
    const end = (value) => () => {
      dialog.close();
      answer(value);
    };
    const [back, go] = [[no, false], [yes, true]].map(([label, value]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", end(value));
      return button;
    });
    const words = document.createElement("p");
    words.textContent = text;
    dialog.oncancel = () => answer(false);
    dialog.replaceChildren(words, back, " ", go);
    dialog.showModal();
    back.focus();
  });
}
