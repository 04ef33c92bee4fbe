package dev.podidentity.agent.verification;

import java.time.Instant;
import java.util.Optional;

/** Knows which pods of this node are running. Confined to the event loop. */
public interface LivingPods {

    /** The pods are not watched: all count as running. */
    LivingPods UNWATCHED = (podUid, tokenIssuedAt) -> false;

    /**
     * Returns whether a pod is known to be deleted. An unknown pod counts as running unless its token is older than the list
     * of pods, because the first request of a new pod may precede the news of it.
     *
     * @param podUid the pod's UID
     * @param tokenIssuedAt when the pod's token was issued, if known
     */
    boolean gone(String podUid, Optional<Instant> tokenIssuedAt);
}
