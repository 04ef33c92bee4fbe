package dev.podidentity.agent.eksauth;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.http.async.AsyncExecuteRequest;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClient;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClientBuilder;

/**
 * Makes one call through the SDK, from request to response, without the network and before the first pod's call. On a JVM,
 * loading the classes involved takes some hundred milliseconds; this loads them on a worker, rather than on the event loop
 * while a pod waits.
 */
final class FirstCall {

    private static final byte[] ANSWER =
            "{\"credentials\":{\"accessKeyId\":\"none\",\"expiration\":0}}".getBytes(StandardCharsets.UTF_8);

    private FirstCall() {}

    /** Makes the call with a client that is configured like the real one. Blocks until it completes. */
    static void make(EksAuthAsyncClientBuilder like) {
        try (EksAuthAsyncClient client = like.httpClient(new Nowhere())
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("none", "none")))
                .build()) {
            client.assumeRoleForPodIdentity(request -> request.clusterName("none").token("none")).join();
        }
    }

    /** Responds to each request without the network. */
    private static final class Nowhere implements SdkAsyncHttpClient {

        @Override
        public CompletableFuture<Void> execute(AsyncExecuteRequest request) {
            request.responseHandler().onHeaders(SdkHttpResponse.builder()
                    .statusCode(200)
                    .putHeader("Content-Type", "application/json")
                    .build());
            request.responseHandler().onStream(subscriber -> subscriber.onSubscribe(new OneAnswer(subscriber)));
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {
            // Holds no resources.
        }
    }

    private static final class OneAnswer implements Subscription {

        private final Subscriber<? super ByteBuffer> subscriber;
        private boolean given;

        OneAnswer(Subscriber<? super ByteBuffer> subscriber) {
            this.subscriber = subscriber;
        }

        @Override
        public void request(long count) {
            if (!given) {
                given = true;
                subscriber.onNext(ByteBuffer.wrap(ANSWER));
                subscriber.onComplete();
            }
        }

        @Override
        public void cancel() {
            given = true;
        }
    }
}
