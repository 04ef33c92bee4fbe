package dev.podidentity.agent.badday;

import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;

/** What goes wrong on a bad day, and what a pod may see of it. */
public enum Trouble {
    /** EKS Auth takes calls and does not answer them. */
    HANGING(Effect.CALLS_FAIL),
    /** EKS Auth resets connections. */
    RESETTING(Effect.CALLS_FAIL),
    /** EKS Auth answers byte by byte. */
    SLOW_BYTES(Effect.CALLS_FAIL),
    /** EKS Auth answers after more than the agent's deadline. */
    LATE(Effect.CALLS_FAIL),
    /** EKS Auth throttles, and does not, in turns. */
    THROTTLING(Effect.CALLS_FAIL),
    /** EKS Auth's answers are not JSON, truncated, without a field, or about another service account. */
    WRONG_BODIES(Effect.CALLS_FAIL, Effect.ANSWERS_ARE_BAD),
    /** EKS Auth refuses connections. */
    REFUSING(Effect.CALLS_FAIL),
    /** EKS Auth refuses connections, and does not, in turns. */
    FLAPPING(Effect.CALLS_FAIL),
    /** EKS Auth issues credentials that live for seconds, and then refuses connections. */
    EXPIRING(Effect.CALLS_FAIL),
    /** One service account has no association. */
    NO_ASSOCIATION(Effect.ONE_IS_REFUSED),
    /** The API server is away. */
    API_SERVER_AWAY,
    /** The agent's shared credentials file is half written. */
    HALF_WRITTEN_CREDENTIALS(Effect.CALLS_FAIL),
    /** The node's clock jumps by hours. */
    CLOCK_JUMPS(Effect.CALLS_FAIL),
    /** A pod with forged tokens, unfinished requests and connections that it resets. */
    HOSTILE_POD,
    /** Some clients take all descriptors that the agent may have, which then takes its want of a socket for a bad answer. */
    NO_DESCRIPTORS(Effect.CALLS_FAIL, Effect.ANSWERS_ARE_BAD, Effect.UNREACHABLE),
    /** The memory limit is lower than the agent's manifest has it. */
    LITTLE_MEMORY(Effect.CALLS_FAIL, Effect.UNREACHABLE, Effect.EXITS),
    /** SIGTERM, and a start as the kubelet does it. */
    TERMINATED(Effect.CALLS_FAIL, Effect.UNREACHABLE),
    /** SIGKILL, and a start as the kubelet does it. */
    KILLED(Effect.CALLS_FAIL, Effect.UNREACHABLE);

    /** An attempt may hang for 5 s and a failed identity pause for 5 s more; the calls of a node that was throttled are paced. */
    private static final Duration RECOVERY = Duration.ofSeconds(15);
    /** The shared credentials file is read every minute. */
    private static final Duration RECOVERY_OF_A_FILE = Duration.ofSeconds(75);

    /** After it could not accept a connection, Netty waits for a second; then all that came meanwhile are there at once. */
    private static final Duration ACCEPTING_AGAIN = Duration.ofSeconds(5);

    private enum Effect {
        /** Those for whom the agent has no credentials may get 503. */
        CALLS_FAIL,
        /** Their 503 may say that EKS Auth has an error. */
        ANSWERS_ARE_BAD,
        /** Pods of one service account may get 403. */
        ONE_IS_REFUSED,
        /** There may be no connection, or no answer in time. */
        UNREACHABLE,
        /** The kernel may end the agent, or the agent itself for want of memory. */
        EXITS
    }

    private final Set<Effect> effects = EnumSet.noneOf(Effect.class);

    Trouble(Effect... effects) {
        this.effects.addAll(Set.of(effects));
    }

    /** Whether pods for which the agent has no credentials may get 503. */
    boolean failsCalls() {
        return effects.contains(Effect.CALLS_FAIL);
    }

    /** Whether such a 503 may have the code {@code InternalServerException}. */
    boolean makesBadAnswers() {
        return effects.contains(Effect.ANSWERS_ARE_BAD);
    }

    /** Whether pods of the service account that it is about may get 403. */
    boolean refusesOne() {
        return effects.contains(Effect.ONE_IS_REFUSED);
    }

    /** Whether there may be no connection, or no answer in time. */
    boolean cutsOff() {
        return effects.contains(Effect.UNREACHABLE);
    }

    /** For how long after its end that may be so. */
    Duration aftermath() {
        return this == NO_DESCRIPTORS ? ACCEPTING_AGAIN : Duration.ofSeconds(1);
    }

    /** Whether the agent may end. */
    boolean mayEndTheAgent() {
        return effects.contains(Effect.EXITS);
    }

    /** How long after its end everybody is served. */
    public Duration recovery() {
        return this == HALF_WRITTEN_CREDENTIALS ? RECOVERY_OF_A_FILE : RECOVERY;
    }
}
