package dev.podidentity.agent.eksauth;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;

/**
 * Limits the size of every response body, and checks that a successful one has the types of the service's model. The SDK
 * itself would accept a number as a secret key, and reads a body of any length into memory, even that of an error.
 */
final class AnswerShape implements ExecutionInterceptor {

    private static final List<String> STRINGS = List.of("accessKeyId", "secretAccessKey", "sessionToken");
    /**
     * Session tokens take a few KiB; nothing else in a response is long. The agent holds as many bodies as it has calls in
     * flight, and keeps the credentials of every cached identity for hours.
     */
    static final int LARGEST_BODY = 32 * 1024;

    @Override
    public Optional<Publisher<ByteBuffer>> modifyAsyncHttpResponseContent(
            Context.ModifyHttpResponse context, ExecutionAttributes attributes) {
        return context.responsePublisher()
                .map(body -> subscriber ->
                        body.subscribe(new Checking(subscriber, context.httpResponse().isSuccessful())));
    }

    static void check(Buffer body) throws MalformedException {
        JsonObject answer;
        try {
            answer = new JsonObject(body);
        } catch (DecodeException | ClassCastException e) {
            throw new MalformedException("it is not a JSON object");
        }
        optional(answer, "audience", String.class);
        members(answer, "subject", List.of("namespace", "serviceAccount"));
        members(answer, "podIdentityAssociation", List.of("associationArn", "associationId"));
        members(answer, "assumedRoleUser", List.of("arn", "assumeRoleId"));
        members(answer, "credentials", STRINGS);
        JsonObject credentials = answer.getJsonObject("credentials");
        if (credentials != null) {
            optional(credentials, "expiration", Number.class);
        }
    }

    private static void members(JsonObject answer, String name, List<String> strings) throws MalformedException {
        optional(answer, name, JsonObject.class);
        JsonObject object = answer.getJsonObject(name);
        if (object != null) {
            for (String string : strings) {
                optional(object, string, String.class);
            }
        }
    }

    private static void optional(JsonObject object, String name, Class<?> type) throws MalformedException {
        Object value = object.getValue(name);
        if (value != null && !type.isInstance(value)) {
            throw new MalformedException("its " + name + " has the wrong type");
        }
    }

    /** A response that EKS Auth would not send. */
    static final class MalformedException extends IOException {

        MalformedException(String what) {
            super(what);
        }
    }

    /** Passes the body on as it arrives, and ends it with an error if it is too long or malformed. */
    private static final class Checking implements Subscriber<ByteBuffer> {

        private final Subscriber<? super ByteBuffer> next;
        /** Whether the response is successful and must match the model; the SDK reads the body of an error. */
        private final boolean good;
        private final Buffer body = Buffer.buffer();
        private int length;
        private Subscription subscription;
        private boolean failed;

        Checking(Subscriber<? super ByteBuffer> next, boolean good) {
            this.next = next;
            this.good = good;
        }

        @Override
        public void onSubscribe(Subscription given) {
            subscription = given;
            next.onSubscribe(given);
        }

        @Override
        public void onNext(ByteBuffer part) {
            if (failed) {
                return;
            }
            length += part.remaining();
            if (length > LARGEST_BODY) {
                subscription.cancel();
                fail(new MalformedException("it is longer than " + LARGEST_BODY + " bytes"));
                return;
            }
            if (good) {
                byte[] bytes = new byte[part.remaining()];
                part.duplicate().get(bytes);
                body.appendBytes(bytes);
            }
            next.onNext(part);
        }

        @Override
        public void onError(Throwable error) {
            if (!failed) {
                next.onError(error);
            }
        }

        @Override
        public void onComplete() {
            if (failed) {
                return;
            }
            try {
                if (good) {
                    check(body);
                }
            } catch (MalformedException e) {
                fail(e);
                return;
            }
            next.onComplete();
        }

        private void fail(MalformedException error) {
            failed = true;
            next.onError(error);
        }
    }
}
