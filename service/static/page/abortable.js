// Waiting that a signal ends. No listener outlives it: one that stays keeps what it closes over as long
// as the signal lives, and that may be the pictures of a film.

/**
 * Return a promise that is rejected with the signal's reason once that is aborted.
 *
 * @param signal of an AbortController; null for none
 * @param begin called with `resolve` and `reject`; returns what stops the work
 */
export function abortable(signal, begin) {
  let stop = null;
  const done = new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const end = begin(resolve, reject);
    stop = () => {
      end();
      reject(signal.reason);
    };
    signal?.addEventListener("abort", stop);
  });
  return done.finally(() => signal?.removeEventListener("abort", stop));
}
