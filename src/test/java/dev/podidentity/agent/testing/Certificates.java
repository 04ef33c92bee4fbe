package dev.podidentity.agent.testing;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.net.PfxOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Creates a certificate authority and a server certificate that it signs, with the JDK's keytool. */
public final class Certificates {

    private static final String PASSWORD = "changeit";
    private static final String SERVER = "server";

    private final Path directory;
    private final Path store;

    /** @param names the subject alternative names of the server certificate, such as {@code ip:127.0.0.1} */
    public static Certificates make(Path directory, String names) throws IOException, InterruptedException {
        Certificates made = new Certificates(directory);
        made.keytool("-genkeypair", "-alias", "ca", "-keyalg", "EC", "-dname", "CN=kubernetes", "-ext", "bc:c", "-validity", "2");
        made.keytool("-genkeypair", "-alias", SERVER, "-keyalg", "EC", "-dname", "CN=kube-apiserver", "-ext", "SAN=" + names,
                "-validity", "2", "-signer", "ca");
        made.keytool("-exportcert", "-rfc", "-alias", "ca", "-file", made.authority().toString());
        return made;
    }

    private Certificates(Path directory) {
        this.directory = directory;
        this.store = directory.resolve("store.p12");
    }

    /** Returns the CA certificate file, in PEM format. */
    public Path authority() {
        return directory.resolve("ca.crt");
    }

    /** Returns server options that present the server certificate. */
    public HttpServerOptions server() {
        return new HttpServerOptions()
                .setSsl(true)
                .setKeyCertOptions(
                        new PfxOptions().setPath(store.toString()).setPassword(PASSWORD).setAlias(SERVER));
    }

    private void keytool(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
        command.addAll(List.of(arguments));
        command.addAll(List.of("-keystore", store.toString(), "-storetype", "PKCS12", "-storepass", PASSWORD));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        assertThat(process.exitValue()).as(output).isZero();
    }
}
