package dev.podidentity.agent.badday;

import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;

/** The faults of a bad day, and their possible effects on a pod. */
public enum Trouble {
    /** EKS Auth accepts calls and does not respond. */
    HANGING(Effect.CALLS_FAIL),
    /** EKS Auth resets connections. */
    RESETTING(Effect.CALLS_FAIL),
    /** EKS Auth responds byte by byte. */
    SLOW_BYTES(Effect.CALLS_FAIL),
    /** EKS Auth responds after the agent's deadline. */
    LATE(Effect.CALLS_FAIL),
    /** EKS Auth alternately throttles calls and serves them. */
    THROTTLING(Effect.CALLS_FAIL),
    /** EKS Auth's responses are not JSON, truncated, incomplete, or for another service account. */
    WRONG_BODIES(Effect.CALLS_FAIL, Effect.ANSWERS_ARE_BAD),
    /** EKS Auth refuses connections. */
    REFUSING(Effect.CALLS_FAIL),
    /** EKS Auth alternately refuses and accepts connections. */
    FLAPPING(Effect.CALLS_FAIL),
    /** EKS Auth issues credentials that are valid for seconds, and then refuses connections. */
    EXPIRING(Effect.CALLS_FAIL),
    /** One service account has no association. */
    NO_ASSOCIATION(Effect.ONE_IS_REFUSED),
    /** The API server is unreachable. */
    API_SERVER_AWAY,
    /** The agent's shared credentials file is incomplete. */
    HALF_WRITTEN_CREDENTIALS(Effect.CALLS_FAIL),
    /** The node's clock jumps by hours. */
    CLOCK_JUMPS(Effect.CALLS_FAIL),
    /** A pod sends forged tokens and unfinished requests, and resets connections. */
    HOSTILE_POD,
    /** Other clients use all descriptors of the agent, which then mistakes its lack of a socket for a bad response. */
    NO_DESCRIPTORS(Effect.CALLS_FAIL, Effect.ANSWERS_ARE_BAD, Effect.UNREACHABLE),
    /** The memory limit is lower than in the agent's manifest. */
    LITTLE_MEMORY(Effect.CALLS_FAIL, Effect.UNREACHABLE, Effect.EXITS),
    /** SIGTERM, and a restart as by the kubelet. */
    TERMINATED(Effect.CALLS_FAIL, Effect.UNREACHABLE),
    /** SIGKILL, and a restart as by the kubelet. */
    KILLED(Effect.CALLS_FAIL, Effect.UNREACHABLE);

    /**
     * An attempt may hang for 5 s, and a failed identity may back off for 5 s more; a node that was throttled paces its
     * calls.
     */
    private static final Duration RECOVERY = Duration.ofSeconds(15);
    /** The shared credentials file is read every minute. */
    private static final Duration RECOVERY_OF_A_FILE = Duration.ofSeconds(75);

    /** After it failed to accept a connection, Netty waits for a second; then all queued connections arrive at once. */
    private static final Duration ACCEPTING_AGAIN = Duration.ofSeconds(5);

    private enum Effect {
        /** Clients for which the agent has no credentials may get 503. */
        CALLS_FAIL,
        /** Their 503 may report an error of EKS Auth. */
        ANSWERS_ARE_BAD,
        /** Pods of one service account may get 403. */
        ONE_IS_REFUSED,
        /** There may be no connection, or no response in time. */
        UNREACHABLE,
        /** The kernel may kill the agent, or the agent may exit because it lacks memory. */
        EXITS
    }

    private final Set<Effect> effects = EnumSet.noneOf(Effect.class);

    Trouble(Effect... effects) {
        this.effects.addAll(Set.of(effects));
    }

    /** Returns whether pods for which the agent has no credentials may get 503. */
    boolean failsCalls() {
        return effects.contains(Effect.CALLS_FAIL);
    }

    /** Returns whether such a 503 may have the code {@code InternalServerException}. */
    boolean makesBadAnswers() {
        return effects.contains(Effect.ANSWERS_ARE_BAD);
    }

    /** Returns whether pods of the affected service account may get 403. */
    boolean refusesOne() {
        return effects.contains(Effect.ONE_IS_REFUSED);
    }

    /** Returns whether there may be no connection, or no response in time. */
    boolean cutsOff() {
        return effects.contains(Effect.UNREACHABLE);
    }

    /** Returns for how long after the fault this may last. */
    Duration aftermath() {
        return this == NO_DESCRIPTORS ? ACCEPTING_AGAIN : Duration.ofSeconds(1);
    }

    /** Returns whether the agent may end. */
    boolean mayEndTheAgent() {
        return effects.contains(Effect.EXITS);
    }

    /** Returns how long after the fault every client must be served. */
    public Duration recovery() {
        return this == HALF_WRITTEN_CREDENTIALS ? RECOVERY_OF_A_FILE : RECOVERY;
    }
}
