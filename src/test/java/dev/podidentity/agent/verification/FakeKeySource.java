package dev.podidentity.agent.verification;

import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Publishes keys immediately, or when a test says so. */
public final class FakeKeySource implements KeySource {

    private final List<Promise<PublishedKeys>> open = new ArrayList<>();
    private Optional<Future<PublishedKeys>> atOnce = Optional.empty();
    private int fetches;

    @Override
    public Future<PublishedKeys> fetch() {
        fetches++;
        if (atOnce.isPresent()) {
            return atOnce.get();
        }
        Promise<PublishedKeys> promise = Promise.promise();
        open.add(promise);
        return promise.future();
    }

    public int fetches() {
        return fetches;
    }

    /** From now on, completes every fetch before it returns. */
    public void answerAtOnce(PublishedKeys keys) {
        atOnce = Optional.of(Future.succeededFuture(keys));
    }

    public void failAtOnce(Throwable failure) {
        atOnce = Optional.of(Future.failedFuture(failure));
    }

    public void answer(PublishedKeys keys) {
        open.remove(0).complete(keys);
    }

    public void fail(Throwable failure) {
        open.remove(0).fail(failure);
    }
}
