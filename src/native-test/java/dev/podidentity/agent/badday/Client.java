package dev.podidentity.agent.badday;

import java.time.Duration;

/**
 * A pod and the SDK in it.
 *
 * @param slot which of the node's places for pods it has; a pod that is replaced leaves its slot to another
 * @param source the address that it asks from
 * @param patient whether it waits for answers for longer than its SDK does, so that it sees how late they come
 * @param hostile whether its token is forged
 * @param token a number that no other token has
 * @param issued when its token was issued, in nanoseconds of the day
 */
public record Client(
        int slot,
        ClientKind kind,
        String source,
        boolean patient,
        boolean hostile,
        String serviceAccount,
        String pod,
        int token,
        long issued) {

    private static final Duration PATIENCE = Duration.ofSeconds(6);

    /** How long it waits for an answer. */
    public Duration timeout() {
        return patient ? PATIENCE : kind.timeout();
    }

    /** The same with a forged token, asking from elsewhere. */
    public Client forged(String from) {
        return new Client(-1, kind, from, true, true, serviceAccount, pod, token, issued);
    }

    @Override
    public String toString() {
        return serviceAccount + "/" + pod + " (" + kind + ", slot " + slot + ", token " + token + ")";
    }
}
