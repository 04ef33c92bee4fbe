package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.RejectedToken;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** A client that records its answer and when it came. */
final class RecordingAnswer implements Consumer<Outcome> {

    private final FakeTime time;
    private final Instant askedAt;
    private final List<Outcome> outcomes = new ArrayList<>();
    private Instant answeredAt;
    private CredentialService.Waiting waiting;
    private boolean abandoned;

    RecordingAnswer(FakeTime time) {
        this.time = time;
        this.askedAt = time.now();
    }

    void waitsFor(CredentialService.Waiting given) {
        waiting = given;
    }

    @Override
    public void accept(Outcome outcome) {
        outcomes.add(outcome);
        answeredAt = time.now();
    }

    void abandon() {
        abandoned = true;
        waiting.abandon();
    }

    boolean abandoned() {
        return abandoned;
    }

    boolean answered() {
        return !outcomes.isEmpty();
    }

    int answers() {
        return outcomes.size();
    }

    Duration took() {
        return Duration.between(askedAt, answeredAt);
    }

    /** Returns the answer, and checks that there was exactly one. */
    Outcome outcome() {
        assertThat(outcomes).hasSize(1);
        return outcomes.get(0);
    }

    CacheOutcome cache() {
        return outcome().cache();
    }

    /** Returns the credentials in the answer, and checks that they were valid when it was given. */
    Credentials credentials() {
        assertThat(outcome()).isInstanceOf(Outcome.Served.class);
        Credentials credentials = ((Outcome.Served) outcome()).credentials();
        assertThat(credentials.expiration()).isAfter(answeredAt);
        return credentials;
    }

    /** Returns the failure in the answer. */
    EksAuthFailure failure() {
        assertThat(outcome()).isInstanceOf(Outcome.Failed.class);
        return ((Outcome.Failed) outcome()).failure();
    }

    /** Returns the reason for which the answer rejects the token. */
    RejectedToken rejection() {
        assertThat(outcome()).isInstanceOf(Outcome.Rejected.class);
        return ((Outcome.Rejected) outcome()).token();
    }

    /** Returns the number of the call that issued the credentials. */
    int issuedByCall() {
        return Integer.parseInt(session()[0]);
    }

    /** Returns the token that the credentials were issued for. */
    String issuedFor() {
        return session()[1];
    }

    /** Returns the JSON document that the SDK reads. */
    JsonObject document() {
        return new JsonObject(Buffer.buffer(credentials().answer().body()));
    }

    private String[] session() {
        return document().getString("Token").split(" ", 2);
    }
}
