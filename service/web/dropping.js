/** Files that are let go over the page. Text that is dragged into a field goes where it is let go. */

/** `onfile(file)` is told of the first of several. */
export function takeDropped(onfile) {
  addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
  addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    onfile(file);
  });
}
