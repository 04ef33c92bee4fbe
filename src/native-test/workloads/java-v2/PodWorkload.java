import io.vertx.core.json.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.concurrent.CompletionException;
import java.util.stream.IntStream;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClient;
import software.amazon.awssdk.services.eksauth.model.EksAuthException;

/** What runs in a pod: the AWS SDK for Java v2 and an environment. Protocol: ../README.md */
final class PodWorkload {

    private final DefaultCredentialsProvider provider = DefaultCredentialsProvider.builder().build();

    private JsonObject resolve(long start) {
        try {
            AwsCredentials credentials = provider.resolveCredentials();
            return reply(true, start).put("accessKeyId", credentials.accessKeyId());
        } catch (RuntimeException e) {
            return reply(false, start).put("error", text(e));
        }
    }

    private JsonObject call(String service, long start) {
        try (EksAuthAsyncClient client = EksAuthAsyncClient.builder()
                .endpointOverride(URI.create(service))
                .credentialsProvider(provider)
                .overrideConfiguration(override -> override.retryStrategy(AwsRetryStrategy.doNotRetry()))
                .build()) {
            client.assumeRoleForPodIdentity(request -> request.clusterName("any").token("any")).join();
            throw new IllegalStateException("The service refuses every call");
        } catch (CompletionException e) {
            boolean called = e.getCause() instanceof EksAuthException;
            return called ? reply(true, start) : reply(false, start).put("error", text(e));
        }
    }

    private static JsonObject reply(boolean ok, long start) {
        return new JsonObject().put("ok", ok).put("millis", (System.nanoTime() - start) / 1_000_000);
    }

    private static String text(Throwable error) {
        return error + (error.getCause() == null ? "" : "\nCaused by: " + text(error.getCause()));
    }

    public static void main(String... args) throws IOException, InterruptedException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        PodWorkload living = null;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            long start = System.nanoTime();
            String[] words = line.split(" ");
            switch (words[0]) {
                case "fresh" -> {
                    living = new PodWorkload();
                    System.out.println(living.resolve(start));
                }
                case "again" -> System.out.println(living.resolve(start));
                case "burst" -> {
                    for (Thread thread : IntStream.range(0, Integer.parseInt(words[1]))
                            .mapToObj(i -> new Thread(() -> System.out.println(new PodWorkload().resolve(System.nanoTime()))))
                            .peek(Thread::start)
                            .toList()) {
                        thread.join();
                    }
                }
                case "call" -> System.out.println(living.call(words[1], start));
                default -> throw new IllegalArgumentException(line);
            }
        }
    }
}
