// Shows in place of a view why it cannot be shown, so that the others still can.

import { Component, type ComponentChildren } from "preact";

export class Boundary extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <p role="alert" class="problem">
        This view cannot be shown. If the gateway was deployed anew since this page was opened, <a href="">reload it</a>.
      </p>
    );
  }
}
