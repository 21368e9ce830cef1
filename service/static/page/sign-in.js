// Asks for a key where the service wants one. It is gone with the page: nothing is kept.

import {byId} from "./elements.js";
import {access, useKey} from "./service.js";

/**
 * Ask the service which model it serves, and again with each key that is entered.
 *
 * @param model asks it
 * @param onModel called with the answer
 * @param onProblem called with the error where there is no answer and a key would not help
 */
export function signIn(model, onModel, onProblem) {
  const form = byId("sign-in");
  const ask = () => model().then((answer) => {
    form.hidden = true;
    onModel(answer);
  }, (error) => (error.status === 401 ? tell(error) : onProblem(error)));
  const tell = (error) => {
    byId("sign-in-state").textContent = byId("key").value === "" ? "" : error.message;
    byId("key").select();
  };
  access.addEventListener("unauthenticated", () => {
    form.hidden = false;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(byId("key").value.trim());
    ask();
  });
  ask();
}
