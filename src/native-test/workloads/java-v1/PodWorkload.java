import com.amazonaws.auth.AWSCredentials;
import com.amazonaws.auth.DefaultAWSCredentialsProviderChain;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.stream.IntStream;

/** What runs in a pod: the AWS SDK for Java v1 and an environment. Protocol: ../README.md */
final class PodWorkload {

    private final DefaultAWSCredentialsProviderChain provider = new DefaultAWSCredentialsProviderChain();

    private String resolve(long start) {
        try {
            AWSCredentials credentials = provider.getCredentials();
            return "{\"ok\":true,\"millis\":" + millis(start) + ",\"accessKeyId\":" + json(credentials.getAWSAccessKeyId()) + "}";
        } catch (RuntimeException e) {
            return "{\"ok\":false,\"millis\":" + millis(start) + ",\"error\":" + json(text(e)) + "}";
        }
    }

    private static long millis(long start) {
        return (System.nanoTime() - start) / 1_000_000;
    }

    private static String text(Throwable error) {
        return error + (error.getCause() == null ? "" : "\nCaused by: " + text(error.getCause()));
    }

    private static String json(String text) {
        StringBuilder json = new StringBuilder("\"");
        text.chars().forEach(c -> {
            if (c == '"' || c == '\\') {
                json.append('\\').append((char) c);
            } else if (c < ' ') {
                json.append(String.format("\\u%04x", c));
            } else {
                json.append((char) c);
            }
        });
        return json.append('"').toString();
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
                default -> throw new IllegalArgumentException(line);
            }
        }
    }
}
