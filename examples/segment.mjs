// POST a DICOM file, read score and regions, save the mask. Node 18 or newer, nothing else.
//   node segment.mjs http://127.0.0.1:8000 mammogram.dcm mask.png
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const TRIES = 5;
const LONGEST_WAIT_S = 60;

/** Ask, and ask again while the service is busy, after as many seconds as it says. */
async function segment(url, body) {
  let waited = 0;
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(`${url}/v1/segment?include=mask`, {
      method: "POST",
      headers: { "Content-Type": "application/dicom" },
      body,
      signal: AbortSignal.timeout(120_000),
    });
    if (answer.ok) return answer.json();
    const pause = Number(answer.headers.get("Retry-After") ?? 2 ** (attempt - 1));
    const passing = [429, 502, 503].includes(answer.status) && Number.isFinite(pause);
    if (passing && attempt < TRIES && waited + pause <= LONGEST_WAIT_S) {
      waited += pause;
      await sleep(1000 * pause);
      continue;
    }
    // A problem document (RFC 9457): code is stable, detail is for people.
    const problem = await answer.json().catch(() => null);
    throw new Error(
      problem === null
        ? `HTTP status ${answer.status}`
        : `${problem.status} ${problem.code}: ${problem.detail} [request ${problem.request_id}]`,
    );
  }
}

const [url, file, mask] = process.argv.slice(2);
try {
  const result = await segment(url, await readFile(file));
  console.log(`score ${result.has_mask.score}, threshold ${result.has_mask.threshold}`);
  for (const region of result.regions.filter((each) => each.selected))
    console.log(`region ${region.bbox} p ${region.max_probability}`);
  for (const warning of result.warnings) console.log(`warning ${warning.code}: ${warning.detail}`);
  await writeFile(mask, Buffer.from(result.renders.mask, "base64"));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
