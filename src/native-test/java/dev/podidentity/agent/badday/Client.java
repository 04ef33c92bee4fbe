package dev.podidentity.agent.badday;

import java.time.Duration;

/**
 * A pod and its SDK.
 *
 * @param slot the place of the pod on the node; a replaced pod leaves its slot to another
 * @param source the address from which it sends requests
 * @param patient whether it waits longer than its SDK does, so that it sees how late responses arrive
 * @param hostile whether its token is forged
 * @param token the unique number of its token
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

    /** Returns its response timeout. */
    public Duration timeout() {
        return patient ? PATIENCE : kind.timeout();
    }

    /** Returns the same client with a forged token and another source address. */
    public Client forged(String from) {
        return new Client(-1, kind, from, true, true, serviceAccount, pod, token, issued);
    }

    @Override
    public String toString() {
        return serviceAccount + "/" + pod + " (" + kind + ", slot " + slot + ", token " + token + ")";
    }
}
