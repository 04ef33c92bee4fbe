package dev.podidentity.agent.network;

/** Thrown if the node's link cannot be set up. The message is one line, for an operator: what is wrong, and what to do. */
public final class NodeLinkFailure extends Exception {

    private static final long serialVersionUID = 1L;

    NodeLinkFailure(String message) {
        super(message);
    }

    NodeLinkFailure(String message, Throwable cause) {
        super(message, cause);
    }
}
