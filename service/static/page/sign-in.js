// Asks for a key where the service wants one. It is gone with the page: nothing is kept.

import {byId} from "./elements.js";
import {access, useKey} from "./requests.js";

/**
 * Ask the service which model it serves, and again with each key that is entered.
 *
 * @param model asks it
 * @param onModel called with the answer
 * @param onProblem called with the error where there is no answer and a key would not help
 */
export function signIn(model, onModel, onProblem) {
  const [form, field] = [byId("sign-in"), byId("key")];
  const tell = (text) => {
    byId("sign-in-state").textContent = text;
  };
  let isIn = false;
  const ask = (isGiven) => model().then((answer) => {
    [form.hidden, field.value, isIn] = [true, "", true];
    onModel(answer);
  }, (error) => {
    if (error.status !== 401) return onProblem(error);
    tell(isGiven ? error.message : "");
    return field.select();
  });
  access.addEventListener("unauthenticated", () => {
    form.hidden = false;
    if (!isIn) return;
    isIn = false;
    tell("The service no longer takes this key, or wants one now. Enter another: what was not read is "
      + "sent then.");
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(field.value.trim());
    ask(true);
  });
  ask(false);
}
