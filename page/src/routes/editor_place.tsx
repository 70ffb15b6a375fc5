// Where the editor stands. Its chunk is loaded when it is first shown.

import { useEffect, useRef, useState } from "preact/hooks";
import type { DocumentEditor } from "./document_editor";

interface EditorPlaceProps {
  text: string;
  isReadOnly: boolean;
  onChange: (text: string) => void;
  onOpen: (editor: DocumentEditor) => void;
}

export function EditorPlace({ text, isReadOnly, onChange, onOpen }: EditorPlaceProps) {
  const place = useRef<HTMLDivElement>(null);
  const [editor, setEditor] = useState<DocumentEditor>();
  const [problem, setProblem] = useState("");
  const latest = useRef({ text, isReadOnly, onChange, onOpen });
  latest.current = { text, isReadOnly, onChange, onOpen };
  useEffect(() => {
    let opened: DocumentEditor | undefined;
    let isGone = false;
    import("./document_editor").then(
      ({ openEditor }) => {
        if (isGone || !place.current) return;
        opened = openEditor(place.current, {
          text: latest.current.text,
          label: "The routes document",
          isReadOnly: latest.current.isReadOnly,
          onChange: (changed) => latest.current.onChange(changed),
        });
        setEditor(opened);
        latest.current.onOpen(opened);
      },
      () => setProblem("The editor could not be loaded. Reload the page."),
    );
    return () => {
      isGone = true;
      opened?.close();
    };
  }, []);
  useEffect(() => editor?.setReadOnly(isReadOnly), [editor, isReadOnly]);
  return (
    <>
      {problem && <p class="problem" role="alert">{problem}</p>}
      {!editor && !problem && <p class="hint">Loading the editor …</p>}
      <div ref={place} class="routes-editor" />
    </>
  );
}
