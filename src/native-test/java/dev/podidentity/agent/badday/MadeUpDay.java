package dev.podidentity.agent.badday;

import dev.podidentity.agent.badday.Exchange.Answer;
import dev.podidentity.agent.badday.History.ClockError;
import dev.podidentity.agent.badday.History.Credentials;
import dev.podidentity.agent.badday.History.Delay;
import dev.podidentity.agent.badday.History.Ending;
import dev.podidentity.agent.badday.History.Life;
import dev.podidentity.agent.badday.History.Pause;
import dev.podidentity.agent.badday.History.Sharing;
import dev.podidentity.agent.badday.History.Span;
import dev.podidentity.agent.badday.History.Vitals;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/** Builds a history, in milliseconds of the day. */
final class MadeUpDay {

    private static final String EXPIRES = "2026-01-01T06:00:00Z";
    private static final long NANOS = 1_000_000;

    private final List<Exchange> exchanges = new ArrayList<>();
    private final List<Credentials> credentials = new ArrayList<>();
    private final List<Span> troubles = new ArrayList<>();
    private final List<Life> lives = new ArrayList<>();
    private final List<ClockError> clocks = new ArrayList<>();
    private final List<Pause> pauses = new ArrayList<>();
    private final List<Delay> delays = new ArrayList<>();
    private final List<Vitals> vitals = new ArrayList<>();
    private final List<String> log = new ArrayList<>();

    static Client client(int slot, ClientKind kind, String serviceAccount, String pod, int token) {
        return new Client(slot, kind, "127.0.1.1", true, false, serviceAccount, pod, token,
                -Duration.ofHours(3).toNanos());
    }

    List<Violation> check() {
        if (lives.isEmpty()) {
            life(Sharing.POD, 0, 1_000_000);
        }
        return Checker.check(
                new History(exchanges, credentials, troubles, lives, clocks, pauses, delays, vitals, log), Rules.usual());
    }

    /** Issues credentials for a client at a time, with an expiration. */
    Credentials issue(Client client, long at, long until) {
        int number = credentials.size();
        Credentials issued = new Credentials(at * NANOS, until * NANOS, EXPIRES, "ASIA" + number, "secret-" + number,
                "session-" + number, "123456789012", client.serviceAccount(), client.pod(), client.token());
        credentials.add(issued);
        return issued;
    }

    /** Issues credentials that are valid for hours. */
    Credentials issue(Client client, long at) {
        return issue(client, at, at + Duration.ofHours(6).toMillis());
    }

    static JsonObject body(Credentials issued) {
        return new JsonObject()
                .put("AccessKeyId", issued.accessKeyId())
                .put("SecretAccessKey", issued.secretAccessKey())
                .put("Token", issued.sessionToken())
                .put("AccountId", issued.account())
                .put("Expiration", issued.expires());
    }

    static Answer served(Credentials issued) {
        return new Answer(200, "application/json", "no-store", "", body(issued).encode());
    }

    static Answer error(int status, String code, String message) {
        String body = new JsonObject()
                .put("code", code).put("message", message).put("Code", code).put("Message", message).encode();
        return new Answer(status, "application/json", "no-store", status == 503 ? "1" : "", body);
    }

    MadeUpDay exchange(Client client, long start, long end, Exchange.Reply reply) {
        exchanges.add(new Exchange(client, start * NANOS, end * NANOS, reply));
        return this;
    }

    MadeUpDay serve(Client client, long at, Credentials issued) {
        return exchange(client, at, at + 2, served(issued));
    }

    MadeUpDay refuse(Client client, long at, int status, String code) {
        return exchange(client, at, at + 2, error(status, code, "try again"));
    }

    MadeUpDay trouble(Trouble trouble, long from, long to) {
        return trouble(trouble, from, to, "");
    }

    MadeUpDay trouble(Trouble trouble, long from, long to, String serviceAccount) {
        troubles.add(new Span(trouble, from * NANOS, to * NANOS, serviceAccount));
        return this;
    }

    MadeUpDay life(Sharing sharing, long ready, long end) {
        return life(sharing, ready, Ending.SIGTERM, end, 0);
    }

    MadeUpDay life(Sharing sharing, long ready, Ending ending, long end, int exitCode) {
        lives.add(new Life(
                sharing, ready * NANOS, ending, end * NANOS, (end + 10) * NANOS, OptionalInt.of(exitCode)));
        return this;
    }

    MadeUpDay clock(long from, Duration ahead) {
        clocks.add(new ClockError(from * NANOS, ahead));
        return this;
    }

    MadeUpDay pause(long from, long to) {
        pauses.add(new Pause(from * NANOS, to * NANOS));
        return this;
    }

    MadeUpDay delay(long at, long millis) {
        delays.add(new Delay(at * NANOS, millis * NANOS));
        return this;
    }

    MadeUpDay vitals(long at, long anonymousKib, long descriptors, long threads) {
        vitals.add(new Vitals(at * NANOS, anonymousKib, descriptors, threads));
        return this;
    }

    MadeUpDay log(String line) {
        log.add(line);
        return this;
    }
}
