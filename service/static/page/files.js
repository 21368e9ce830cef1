// Files that were dropped or chosen at once -> {found: [{file, group}], passedOver: [name]}. A group is
// {name}: one for each folder among them, `name` its path, "" for files without one. Files of two
// choices are never of one group, even where their folders have one name: they may be two patients'.

/** Names of what lies in folders beside images. What was chosen by itself is never passed over. */
const NO_IMAGES = /(^\.)|^(DICOMDIR|Thumbs\.db)$|\.(json|txt|csv|md|xml|zip|pdf|html)$/i;

/** Return the files of a drop, folders opened, in the order of their names. */
export async function ofDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return ofChoice(transfer.files);
  const found = [];
  const unread = [];
  for (const entry of entries) await gather(entry, "", found, unread);
  return images(found, unread);
}

/** Return the files of a file or folder input. */
export function ofChoice(files) {
  return images([...files].map((file) => {
    const folders = (file.webkitRelativePath || "").split("/").slice(0, -1);
    return {file, folder: folders.join("/")};
  }));
}

async function gather(entry, folder, found, unread) {
  try {
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
      for (const one of some) await gather(one, inner, found, unread);
    }
  } catch {
    // A link that leads nowhere, or what this user may not read.
    unread.push(entry.name);
  }
}

function images(files, unread = []) {
  const isImage = ({file, folder}) => folder === "" || !NO_IMAGES.test(file.name);
  const wanted = files.filter(isImage);
  const collator = new Intl.Collator(undefined, {numeric: true});
  wanted.sort((one, other) => collator.compare(`${one.folder}/${one.file.name}`,
    `${other.folder}/${other.file.name}`));
  const groups = new Map(wanted.map(({folder}) => [folder, {name: folder}]));
  const passedOver = files.filter((one) => !isImage(one)).map(({file}) => file.name);
  return {
    found: wanted.map(({file, folder}) => ({file, group: groups.get(folder)})),
    passedOver: [...passedOver, ...unread],
  };
}

const MAX_NAMES = 5;

/** Say what was passed over. */
export function passedOverText(names) {
  if (names.length === 0) return "";
  const told = names.slice(0, MAX_NAMES).join(", ");
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : "";
  const files = names.length === 1 ? "1 file" : `${names.length} files`;
  return `${files} of the folder passed over, by the name no image or not to be read: `
    + `${told}${more}. Under Files … each is sent.`;
}
