package dev.podidentity.agent.verification;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.Verification;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** An API server that reviews tokens immediately, or when a test says so. */
public final class FakeTokenReviewer implements TokenReviewer {

    private final List<Promise<Verification>> open = new ArrayList<>();
    private Optional<Future<Verification>> atOnce = Optional.empty();
    private int reviews;

    @Override
    public Future<Verification> review(ServiceAccountToken token) {
        reviews++;
        if (atOnce.isPresent()) {
            return atOnce.get();
        }
        Promise<Verification> promise = Promise.promise();
        open.add(promise);
        return promise.future();
    }

    public int reviews() {
        return reviews;
    }

    public void answerAtOnce(Verification verdict) {
        atOnce = Optional.of(Future.succeededFuture(verdict));
    }

    public void failAtOnce(Throwable failure) {
        atOnce = Optional.of(Future.failedFuture(failure));
    }

    public void answerWhenTold() {
        atOnce = Optional.empty();
    }

    /** Completes the oldest review. */
    public void answer(Verification verdict) {
        open.remove(0).complete(verdict);
    }

    public void fail(Throwable failure) {
        open.remove(0).fail(failure);
    }
}
