package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.token.RejectedToken;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * One request that waits for a flight, and turns the landing into its result. A pod that was deleted meanwhile, or a token
 * that EKS Auth has refused meanwhile, gets nothing that arrived for others; and valid credentials are better than a
 * transient failure. Confined to the event loop.
 */
final class Waiter implements Consumer<Landing> {

    private final Caller caller;
    private final String source;
    private final CacheOutcome cache;
    /** Credentials that are valid, though not fresh. */
    private final Optional<Credentials> old;
    private final Predicate<Caller> gone;
    private final Function<Caller, Optional<PermanentFailure>> refusal;
    private final Predicate<Credentials> valid;
    private final Consumer<Outcome> answer;

    /**
     * @param source the source address of the request
     * @param cache the role of the cache so far
     * @param gone whether the pod is known to be deleted by then
     * @param refusal why EKS Auth has refused the token by then, if it has
     * @param valid whether credentials are valid by then
     */
    Waiter(
            Caller caller,
            String source,
            CacheOutcome cache,
            Optional<Credentials> old,
            Predicate<Caller> gone,
            Function<Caller, Optional<PermanentFailure>> refusal,
            Predicate<Credentials> valid,
            Consumer<Outcome> answer) {
        this.caller = caller;
        this.source = source;
        this.cache = cache;
        this.old = old;
        this.gone = gone;
        this.refusal = refusal;
        this.valid = valid;
        this.answer = answer;
    }

    Caller caller() {
        return caller;
    }

    String source() {
        return source;
    }

    /** Returns whether there are credentials to fall back on. */
    boolean hasOld() {
        return old.isPresent();
    }

    @Override
    public void accept(Landing landing) {
        answer.accept(outcome(landing));
    }

    private Outcome outcome(Landing landing) {
        if (landing instanceof Landing.PodGone || gone.test(caller)) {
            return new Outcome.Rejected(RejectedToken.podGone(), cache);
        }
        Optional<PermanentFailure> refused = refusal.apply(caller);
        if (refused.isPresent()) {
            return new Outcome.Failed(refused.get(), cache);
        }
        if (landing instanceof Landing.Succeeded success) {
            return new Outcome.Served(success.credentials(), cache);
        }
        EksAuthFailure failure = ((Landing.Failed) landing).failure();
        return old.filter(credentials -> failure instanceof TransientFailure && valid.test(credentials))
                .<Outcome>map(credentials -> new Outcome.Served(credentials, CacheOutcome.STALE))
                .orElseGet(() -> new Outcome.Failed(failure, cache));
    }
}
