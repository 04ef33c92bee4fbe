package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.SdkRequest;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.SdkHttpResponse;

class AnswerShapeTest {

    private static final String GOOD = "{\"audience\":\"pods.eks.amazonaws.com\","
            + "\"subject\":{\"namespace\":\"shop\",\"serviceAccount\":\"cart\"},"
            + "\"podIdentityAssociation\":{\"associationArn\":\"arn\",\"associationId\":\"a-1\"},"
            + "\"assumedRoleUser\":{\"arn\":\"arn\",\"assumeRoleId\":\"id\"},"
            + "\"credentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"S\",\"sessionToken\":\"T\","
            + "\"expiration\":1772370000.5}}";

    @ParameterizedTest
    @ValueSource(strings = {
        GOOD,
        "{}",
        "{\"credentials\":null,\"audience\":null}",
        "{\"credentials\":{}}",
        "{\"credentials\":{\"accessKeyId\":null,\"expiration\":null}}",
        "{\"credentials\":{\"expiration\":1}}",
        "{\"credentials\":{\"expiration\":1.5e9}}",
        "{\"somethingNew\":[1,{\"a\":true}]}",
        " \n{}\n "})
    void passesWhatIsOfTheRightTypesAndLeavesTheRestToTheReader(String body) {
        assertThatCode(() -> AnswerShape.check(Buffer.buffer(body))).doesNotThrowAnyException();
    }

    static Stream<Arguments> wrongTypes() {
        return Stream.concat(
                Stream.of("subject.namespace", "subject.serviceAccount", "podIdentityAssociation.associationArn",
                                "podIdentityAssociation.associationId", "assumedRoleUser.arn",
                                "assumedRoleUser.assumeRoleId", "credentials.accessKeyId",
                                "credentials.secretAccessKey", "credentials.sessionToken")
                        .flatMap(path -> Stream.of("7", "true", "{}", "[]", "[\"a\"]").map(json -> {
                            String[] steps = path.split("\\.");
                            return arguments("{\"" + steps[0] + "\":{\"" + steps[1] + "\":" + json + "}}", steps[1]);
                        })),
                Stream.of(
                        arguments("{\"audience\":7}", "audience"),
                        arguments("{\"audience\":[\"pods.eks.amazonaws.com\"]}", "audience"),
                        arguments("{\"subject\":\"a\"}", "subject"),
                        arguments("{\"podIdentityAssociation\":[]}", "podIdentityAssociation"),
                        arguments("{\"assumedRoleUser\":7}", "assumedRoleUser"),
                        arguments("{\"credentials\":[{}]}", "credentials"),
                        arguments("{\"credentials\":\"a\"}", "credentials"),
                        arguments("{\"credentials\":{\"expiration\":\"2026-03-01T12:00:00Z\"}}", "expiration"),
                        arguments("{\"credentials\":{\"expiration\":\"1772370000\"}}", "expiration"),
                        arguments("{\"credentials\":{\"expiration\":true}}", "expiration")));
    }

    @ParameterizedTest
    @MethodSource("wrongTypes")
    void refusesAFieldOfTheWrongType(String body, String field) {
        assertThatThrownBy(() -> AnswerShape.check(Buffer.buffer(body)))
                .isInstanceOf(AnswerShape.MalformedException.class)
                .hasMessage("its " + field + " has the wrong type");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", " ", "null", "true", "7", "\"text\"", "[]", "[{}]", "{", "{} {}", "{\"a\":}", "<html></html>",
        "error getting credentials"})
    void refusesWhatIsNoJsonObject(String body) {
        assertThatThrownBy(() -> AnswerShape.check(Buffer.buffer(body)))
                .isInstanceOf(AnswerShape.MalformedException.class)
                .hasMessage("it is not a JSON object");
    }

    @Test
    void refusesEndlessNesting() {
        String body = "{\"a\":" + "[".repeat(50_000) + "]".repeat(50_000) + "}";

        assertThatThrownBy(() -> AnswerShape.check(Buffer.buffer(body)))
                .isInstanceOf(AnswerShape.MalformedException.class);
    }

    @Test
    void handsAGoodBodyThroughAsItComes() {
        // Given
        Receiver receiver = new Receiver();
        Body body = intercepted(200, receiver);

        // When
        for (byte part : GOOD.getBytes(StandardCharsets.UTF_8)) {
            body.next(new byte[] {part});
        }
        body.subscriber.onComplete();

        // Then
        assertThat(receiver.text()).isEqualTo(GOOD);
        assertThat(receiver.completed).isTrue();
        assertThat(receiver.errors).isEmpty();
    }

    @Test
    void leavesEachPartToBeReadByTheNext() {
        Receiver receiver = new Receiver();
        Body body = intercepted(200, receiver);
        ByteBuffer part = ByteBuffer.wrap("xx{}yy".getBytes(StandardCharsets.UTF_8), 2, 2);

        body.subscriber.onNext(part);
        body.subscriber.onComplete();

        assertThat(receiver.text()).isEqualTo("{}");
        assertThat(receiver.completed).isTrue();
    }

    @Test
    void endsABodyOfTheWrongShapeWithAnError() {
        // Given
        Receiver receiver = new Receiver();
        Body body = intercepted(200, receiver);

        // When
        body.next("{\"credentials\":{\"secretAccessKey\":".getBytes(StandardCharsets.UTF_8));
        body.next("7}}".getBytes(StandardCharsets.UTF_8));
        body.subscriber.onComplete();

        // Then
        assertThat(receiver.completed).isFalse();
        assertThat(receiver.errors).singleElement().isInstanceOf(AnswerShape.MalformedException.class);
    }

    @Test
    void endsATruncatedBodyWithAnError() {
        Receiver receiver = new Receiver();
        Body body = intercepted(200, receiver);

        body.next(GOOD.substring(0, GOOD.length() - 1).getBytes(StandardCharsets.UTF_8));
        body.subscriber.onComplete();

        assertThat(receiver.completed).isFalse();
        assertThat(receiver.errors).singleElement().isInstanceOf(AnswerShape.MalformedException.class);
    }

    @Test
    void endsAnEmptyBodyWithAnError() {
        Receiver receiver = new Receiver();

        intercepted(200, receiver).subscriber.onComplete();

        assertThat(receiver.errors).singleElement().isInstanceOf(AnswerShape.MalformedException.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {200, 400, 403, 429, 500})
    void stopsABodyThatIsTooLarge(int status) {
        // Given
        Receiver receiver = new Receiver();
        Body body = intercepted(status, receiver);

        // When
        body.next(new byte[AnswerShape.LARGEST_BODY]);
        assertThat(receiver.errors).isEmpty();
        body.next(new byte[1]);
        // A publisher may still send after the subscription is cancelled.
        body.next(new byte[AnswerShape.LARGEST_BODY]);
        body.subscriber.onComplete();
        body.subscriber.onError(new IOException("closed"));

        // Then
        assertThat(body.cancelled).isTrue();
        assertThat(receiver.errors).singleElement()
                .isInstanceOf(AnswerShape.MalformedException.class)
                .asString().contains("longer than " + AnswerShape.LARGEST_BODY + " bytes");
        assertThat(receiver.received).hasSize(1);
        assertThat(receiver.completed).isFalse();
    }

    @Test
    void passesOnAnErrorOfTheConnection() {
        Receiver receiver = new Receiver();

        intercepted(200, receiver).subscriber.onError(new IOException("reset"));

        assertThat(receiver.errors).singleElement().asString().contains("reset");
    }

    @Test
    void leavesWhatAnErrorSaysToTheSdk() {
        Receiver receiver = new Receiver();
        Body body = intercepted(400, receiver);

        body.next("not JSON".getBytes(StandardCharsets.UTF_8));
        body.subscriber.onComplete();

        assertThat(receiver.text()).isEqualTo("not JSON");
        assertThat(receiver.completed).isTrue();
    }

    @Test
    void leavesAnAnswerWithoutBodyAlone() {
        assertThat(new AnswerShape().modifyAsyncHttpResponseContent(
                new Answered(200, Optional.empty()), new ExecutionAttributes())).isEmpty();
    }

    private static Body intercepted(int status, Receiver receiver) {
        Body body = new Body();
        new AnswerShape()
                .modifyAsyncHttpResponseContent(new Answered(status, Optional.of(body)), new ExecutionAttributes())
                .orElseThrow()
                .subscribe(receiver);
        return body;
    }

    /** A response body whose chunks the test sends. */
    private static final class Body implements Publisher<ByteBuffer>, Subscription {

        private Subscriber<? super ByteBuffer> subscriber;
        private boolean cancelled;

        @Override
        public void subscribe(Subscriber<? super ByteBuffer> given) {
            subscriber = given;
            given.onSubscribe(this);
        }

        void next(byte[] part) {
            subscriber.onNext(ByteBuffer.wrap(part));
        }

        @Override
        public void request(long count) {}

        @Override
        public void cancel() {
            cancelled = true;
        }
    }

    private static final class Receiver implements Subscriber<ByteBuffer> {

        private final List<ByteBuffer> received = new ArrayList<>();
        private final List<Throwable> errors = new ArrayList<>();
        private boolean completed;

        @Override
        public void onSubscribe(Subscription subscription) {
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer part) {
            received.add(part);
        }

        @Override
        public void onError(Throwable error) {
            errors.add(error);
        }

        @Override
        public void onComplete() {
            completed = true;
        }

        String text() {
            StringBuilder text = new StringBuilder();
            received.forEach(part -> text.append(StandardCharsets.UTF_8.decode(part)));
            return text.toString();
        }
    }

    /** The response that the SDK passes to an interceptor. */
    private record Answered(int status, Optional<Publisher<ByteBuffer>> body) implements Context.ModifyHttpResponse {

        @Override
        public SdkHttpResponse httpResponse() {
            return SdkHttpResponse.builder().statusCode(status).build();
        }

        @Override
        public Optional<Publisher<ByteBuffer>> responsePublisher() {
            return body;
        }

        @Override
        public Optional<InputStream> responseBody() {
            return Optional.empty();
        }

        @Override
        public SdkHttpRequest httpRequest() {
            throw new UnsupportedOperationException();
        }

        @Override
        public Optional<RequestBody> requestBody() {
            return Optional.empty();
        }

        @Override
        public Optional<AsyncRequestBody> asyncRequestBody() {
            return Optional.empty();
        }

        @Override
        public SdkRequest request() {
            throw new UnsupportedOperationException();
        }
    }
}
