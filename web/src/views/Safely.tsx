/** Shows something else where drawing failed, so that one part of an answer cannot take the page with it. */
import { Component, type ReactNode } from "react";

interface Props {
  /** What is drawn: with another one it is tried again. */
  of: string;
  instead: ReactNode;
  children: ReactNode;
}

interface State {
  of: string;
  failed: boolean;
}

export class Safely extends Component<Props, State> {
  override state: State = { of: this.props.of, failed: false };

  static getDerivedStateFromError(): Partial<State> {
    return { failed: true };
  }

  static getDerivedStateFromProps({ of }: Props, state: State): State | null {
    return of === state.of ? null : { of, failed: false };
  }

  override render(): ReactNode {
    return this.state.failed ? this.props.instead : this.props.children;
  }
}
