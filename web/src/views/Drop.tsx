/** Files and folders may be dropped anywhere on the page. */
import { useEffect, useState } from "react";

import { readDropped } from "../service/dropped";
import { words } from "../words";
import { Icon } from "./Icon";

export function Drop({ onFiles }: { onFiles: (files: File[]) => void }) {
  const [over, setOver] = useState(false);

  useEffect(() => {
    // Each element that is entered is told of, and each that is left: over the page while some are not left yet.
    let depth = 0;
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
    const enter = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      depth -= 1;
      if (depth <= 0) setOver(false);
    };
    const allow = (event: DragEvent) => {
      if (holdsFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      if (event.dataTransfer === null) return;
      readDropped(event.dataTransfer).then(
        (files) => {
          if (files.length > 0) onFiles(files);
        },
        // What cannot be read, as a file that is gone by now, is not brought.
        () => undefined,
      );
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", allow);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", allow);
      window.removeEventListener("drop", drop);
    };
  }, [onFiles]);

  if (!over) return null;
  return (
    <div className="dropping">
      <p>
        <Icon name="upload" />
        {words.dropNow}
      </p>
    </div>
  );
}
