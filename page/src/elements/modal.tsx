// A dialog over the page. The browser keeps the focus in it, and gives it back when it closes.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface ModalProps {
  title: string;
  /** Called when somebody presses Escape. Left out: the dialog stays. */
  onEscape?: (() => void) | undefined;
  children: ComponentChildren;
}

export function Modal({ title, onEscape, children }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  const onCancel = (event: Event) => {
    event.preventDefault();
    onEscape?.();
  };
  // A key that is handled here closes nothing. Without that, browsers close a dialog at the second
  // Escape, whatever the page says about the first.
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onCancel(event);
  };
  // The gesture of a telephone closes it even so.
  const onClose = () => (onEscape ? onEscape() : dialog.current?.showModal());
  return (
    <dialog ref={dialog} class="modal" aria-labelledby={id} onKeyDown={onKeyDown} onCancel={onCancel} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
