package dev.podidentity.agent;

import java.net.URI;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.eksauth.EksAuthAsyncClient;
import software.amazon.awssdk.services.eksauth.model.EksAuthException;

/** {@link Workload#JAVA}, run in a process of its own, since the SDK reads the environment. */
final class PodWorkload {

    private PodWorkload() {}

    /** @param args the URL of a service to call; none for just the credentials */
    public static void main(String... args) {
        try (ContainerCredentialsProvider provider = ContainerCredentialsProvider.create()) {
            AwsSessionCredentials credentials = (AwsSessionCredentials) provider.resolveCredentials();
            System.out.println("access key id: " + credentials.accessKeyId());
            for (String service : args) {
                call(service, provider);
            }
        }
    }

    private static void call(String url, ContainerCredentialsProvider provider) {
        try (EksAuthAsyncClient client = EksAuthAsyncClient.builder()
                .region(Region.US_WEST_2)
                .endpointOverride(URI.create(url))
                .credentialsProvider(provider)
                .overrideConfiguration(override -> override.retryStrategy(AwsRetryStrategy.doNotRetry()))
                .build()) {
            client.assumeRoleForPodIdentity(request -> request.clusterName("any").token("any")).join();
        } catch (CompletionException e) {
            if (!(e.getCause() instanceof EksAuthException)) {
                throw e;
            }
            System.out.println("called");
        }
    }
}
