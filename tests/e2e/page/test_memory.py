"""What the tab holds: of an image that was read, its findings and a bounded store of pictures."""

from pathlib import Path
from typing import Any

import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

COUNT = """function () {
  return this.filter((one) => {
    try { return one.readyState > 0; } catch { return false; }
  }).length;
}"""


def requests_alive(visit: Visit) -> int:
    """Return how many requests the page still holds, after all garbage was collected."""
    session = visit.context.new_cdp_session(visit.page)
    session.send("HeapProfiler.collectGarbage")
    prototype = session.send("Runtime.evaluate", {"expression": "XMLHttpRequest.prototype"})
    found = session.send(
        "Runtime.queryObjects", {"prototypeObjectId": prototype["result"]["objectId"]}
    )["objects"]  # fmt: skip
    said = session.send("Runtime.callFunctionOn", {
        "objectId": found["objectId"], "functionDeclaration": COUNT, "returnByValue": True,
    })  # fmt: skip
    session.detach()
    count: int = said["result"]["value"]
    return count


def test_no_answer_is_held_by_its_request_once_it_was_read(visit: Visit, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.dcm" for number in range(6)]
    for file in files:
        file.write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    visit.open(*files)
    # A request holds all bytes of its answer, those of pictures that were let go, too.
    assert requests_alive(visit) == 0
    held: list[Any] = []
    visit.page.route("**/v1/segment*", lambda route: held.append(route))
    visit.page.locator("#files").set_input_files(str(files[0]))
    visit.page.locator("li[data-state=sending], li[data-state=reading]").wait_for()
    assert requests_alive(visit) == 1


LISTENERS = """async () => {
  const {patiently, send} = await import("/page/requests.js");
  const {Decoder} = await import("/page/decoder.js");
  const {signal} = new AbortController();
  const held = new Set();
  const {addEventListener, removeEventListener} = EventTarget.prototype;
  signal.addEventListener = (name, listener) => {
    held.add(listener);
    addEventListener.call(signal, name, listener);
  };
  signal.removeEventListener = (name, listener) => {
    held.delete(listener);
    removeEventListener.call(signal, name, listener);
  };
  const after = {};
  const told = async (name, work) => {
    const waiting = work();
    const during = held.size;
    await waiting;
    after[name] = [during, held.size];
  };
  let tries = 0;
  await told("a wait", () => patiently(async () => (
    {status: ++tries < 3 ? 503 : 200, header: () => "0.01", bytes: new Uint8Array(0)}
  ), () => {}, signal));
  await told("an answer", () => send("v1/segment", new Blob(["none"]), null, () => {}, signal));
  await told("a decoding", () => new Decoder().decode(null, [], signal));
  return after;
}"""


def test_nothing_listens_for_the_end_of_what_has_ended(visit: Visit) -> None:
    assert visit.page.evaluate(LISTENERS) == {
        "a wait": [0, 0], "an answer": [1, 0], "a decoding": [1, 0],
    }  # fmt: skip
