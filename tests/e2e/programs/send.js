// Node's fetch: bytes, and a form.
const fs = require("fs");
const [url, file] = process.argv.slice(2);
(async () => {
  const form = new FormData();
  form.append("file", new Blob([fs.readFileSync(file)]), "m.dcm");
  for (const body of [fs.readFileSync(file), form]) {
    const answer = await fetch(url, { method: "POST", body });
    console.log(answer.status);
  }
})();
