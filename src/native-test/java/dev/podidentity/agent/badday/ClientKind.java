package dev.podidentity.agent.badday;

import java.time.Duration;
import java.util.Optional;

/** How an AWS SDK requests credentials, and how long the agent may keep it waiting. */
public enum ClientKind {
    JAVA("aws-sdk-java/2.40.2", Duration.ofSeconds(1), 6, Duration.ZERO, Duration.ofMillis(900)),
    BOTOCORE("python-urllib3/2.2.3", Duration.ofSeconds(2), 3, Duration.ofSeconds(1), Duration.ofMillis(1_900)),
    GO("Go-http-client/1.1", Waits.FOR_LONG, 3, Duration.ofMillis(75), Duration.ofMillis(1_900)),
    /** JavaScript v3 and Rust, which send no User-Agent. */
    JAVASCRIPT("", Waits.FOR_LONG, 4, Duration.ofSeconds(1), Duration.ofMillis(1_900));

    private final String userAgent;
    private final Duration timeout;
    private final int tries;
    private final Duration pause;
    private final Duration deadline;

    ClientKind(String userAgent, Duration timeout, int tries, Duration pause, Duration deadline) {
        this.userAgent = userAgent;
        this.timeout = timeout;
        this.tries = tries;
        this.pause = pause;
        this.deadline = deadline;
    }

    public Optional<String> userAgent() {
        return Optional.of(userAgent).filter(text -> !text.isEmpty());
    }

    /** Returns its response timeout. */
    public Duration timeout() {
        return timeout;
    }

    /** Returns how many attempts it makes. */
    public int tries() {
        return tries;
    }

    /** Returns the delay between two attempts. */
    public Duration pause() {
        return pause;
    }

    /** Returns whether its next request may use the same connection. */
    public boolean keepsConnections() {
        return this == JAVA || this == GO;
    }

    /** Returns the deadline of the agent's response, under all conditions. */
    public Duration deadline() {
        return deadline;
    }

    private static final class Waits {

        /** For SDKs without a timeout of their own: longer than any response may take. */
        private static final Duration FOR_LONG = Duration.ofSeconds(6);
    }
}
