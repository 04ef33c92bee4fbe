package dev.podidentity.agent.credentials;

import dev.podidentity.agent.eksauth.EksAuth;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.IssuedCredentials;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;

/** Records every call to EKS Auth, and keeps each one open until the test or its script ends it. */
final class FakeEksAuth implements EksAuth {

    static final TransientFailure UNAVAILABLE =
            new TransientFailure(TransientFailure.Reason.UNAVAILABLE, "EKS Auth is not available: try again");
    static final TransientFailure THROTTLED =
            new TransientFailure(TransientFailure.Reason.THROTTLED, "EKS Auth throttles: try again");
    static final PermanentFailure BAD_TOKEN =
            new PermanentFailure(PermanentFailure.Reason.INVALID_TOKEN, "Use the token file of the pod");
    static final PermanentFailure DENIED =
            new PermanentFailure(PermanentFailure.Reason.ACCESS_DENIED, "Let the role trust pods.eks.amazonaws.com");

    private final FakeTime time;
    private final List<Call> calls = new ArrayList<>();
    private Consumer<Call> script = call -> {};
    private int open;
    private int mostOpen;

    FakeEksAuth(FakeTime time) {
        this.time = time;
    }

    /** Sets the script that runs when a call begins; it may end the call or leave it open. */
    void script(Consumer<Call> onCall) {
        script = onCall;
    }

    /** Makes every later call succeed immediately. */
    void issueAtOnce(Duration lifetime) {
        script(call -> call.succeed(time.now().plus(lifetime)));
    }

    /** Makes every later call end immediately with the given answer. */
    void answerAtOnce(EksAuthAnswer answer) {
        script(call -> call.answer(answer));
    }

    /** Leaves every later call open. */
    void hang() {
        script(call -> {});
    }

    @Override
    public CompletionStage<EksAuthAnswer> assumeRole(ServiceAccountToken token) {
        Call call = new Call(calls.size(), token, time.now());
        calls.add(call);
        open++;
        mostOpen = Math.max(mostOpen, open);
        script.accept(call);
        return call.answer;
    }

    List<Call> calls() {
        return calls;
    }

    List<Call> open() {
        return calls.stream().filter(call -> !call.ended()).toList();
    }

    int openCount() {
        return open;
    }

    int mostOpen() {
        return mostOpen;
    }

    /** Returns when each call began, as the time since the start of the test. */
    List<Duration> times() {
        return calls.stream().map(call -> Duration.between(FakeTime.START, call.at)).toList();
    }

    void succeed(int index, Instant expiration) {
        calls.get(index).succeed(expiration);
    }

    void succeed(int index, Duration lifetime) {
        succeed(index, time.now().plus(lifetime));
    }

    void fail(int index, EksAuthAnswer failure) {
        calls.get(index).answer(failure);
    }

    Call last() {
        return calls.get(calls.size() - 1);
    }

    final class Call {

        private final int number;
        private final ServiceAccountToken token;
        private final Instant at;
        private final CompletableFuture<EksAuthAnswer> answer = new CompletableFuture<>();

        private Call(int number, ServiceAccountToken token, Instant at) {
            this.number = number;
            this.token = token;
            this.at = at;
        }

        int number() {
            return number;
        }

        ServiceAccountToken token() {
            return token;
        }

        Instant at() {
            return at;
        }

        boolean ended() {
            return answer.isDone();
        }

        /** Issues credentials whose secrets name the token and the call that they were issued for. */
        void succeed(Instant expiration) {
            succeedFor(token.claims().namespace(), token.claims().serviceAccount(), expiration);
        }

        /** Issues the same credentials, but names the given service account as their subject. */
        void succeedFor(String namespace, String serviceAccount, Instant expiration) {
            answer(new IssuedCredentials(
                    "ASIA" + number,
                    "secret-of-" + token.raw(),
                    number + " " + token.raw(),
                    "123456789012",
                    expiration,
                    namespace,
                    serviceAccount,
                    "arn:aws:sts::123456789012:assumed-role/role/session",
                    "a-0123456789abcdef0"));
        }

        void answer(EksAuthAnswer given) {
            if (!ended()) {
                open--;
                answer.complete(given);
            }
        }
    }
}
