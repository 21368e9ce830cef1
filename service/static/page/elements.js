// Small makers of elements. Text is always set as text, so that no file's name is ever markup.

export const byId = (id) => document.getElementById(id);

/** Make an element; `attributes` are set by name, `children` are nodes or texts. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export function button(text, onClick, attributes = {}) {
  const made = make("button", {type: "button", ...attributes}, text);
  made.addEventListener("click", onClick);
  return made;
}

export const checked = (name) => document.querySelector(`input[name=${name}]:checked`).value;

export function choose(name, value) {
  document.querySelector(`input[name=${name}][value=${value}]`).checked = true;
}
