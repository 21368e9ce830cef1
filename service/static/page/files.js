// Files that were dropped or chosen at once -> [{file, group}]. A group is {name}: one for each folder
// among them, `name` its path, "" for files without one. Files of two choices are never of one
// group, even where their folders have one name: they may be two patients'.

const NO_IMAGES = /(^\.)|^(DICOMDIR|Thumbs\.db)$|\.(json|txt|csv|md|xml|zip|pdf|html)$/i;

/** Return the files of a drop, folders opened, in the order of their names. */
export async function ofDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return ofChoice(transfer.files);
  const found = [];
  for (const entry of entries) await gather(entry, "", found);
  return images(found);
}

/** Return the files of a file or folder input. */
export function ofChoice(files) {
  return images([...files].map((file) => {
    const folders = (file.webkitRelativePath || "").split("/").slice(0, -1);
    return {file, folder: folders.join("/")};
  }));
}

async function gather(entry, folder, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({file, folder});
    return;
  }
  const inner = folder ? `${folder}/${entry.name}` : entry.name;
  const reader = entry.createReader();
  // A reader hands out a hundred entries at a time.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await gather(one, inner, found);
  }
}

function images(found) {
  const wanted = found.filter(({file}) => !NO_IMAGES.test(file.name));
  const collator = new Intl.Collator(undefined, {numeric: true});
  wanted.sort((one, other) => collator.compare(`${one.folder}/${one.file.name}`,
    `${other.folder}/${other.file.name}`));
  const groups = new Map(wanted.map(({folder}) => [folder, {name: folder}]));
  return wanted.map(({file, folder}) => ({file, group: groups.get(folder)}));
}
