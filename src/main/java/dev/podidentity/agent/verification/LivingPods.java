package dev.podidentity.agent.verification;

import java.time.Instant;
import java.util.Optional;

/** Which pods of this node live. Confined to the event loop. */
public interface LivingPods {

    /** Nobody watches the pods: all live. */
    LivingPods UNWATCHED = (podUid, tokenIssuedAt) -> false;

    /**
     * Whether a pod is known to be gone. A pod that is not known at all lives unless its token is older than what is
     * known, as the news of a new pod may come after its first request.
     *
     * @param podUid the pod's UID
     * @param tokenIssuedAt when the pod's token was issued, if that is known
     */
    boolean gone(String podUid, Optional<Instant> tokenIssuedAt);
}
