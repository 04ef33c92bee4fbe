package dev.podidentity.agent.doctor;

import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.PemKeyCertOptions;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.TrustManager;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * A kubeconfig, with the features that EKS and others commonly use: a token, a file that contains one, a client certificate,
 * or a program that returns either, such as {@code aws eks get-token}.
 */
final class Kubeconfig {

    /** The program may call another service, but cannot ask its user for anything, because it has no input. */
    private static final Duration PROGRAM_TIMEOUT = Duration.ofSeconds(30);
    /** Credentials with a certificate and its key take a few KiB. */
    private static final int MOST_OUTPUT = 1 << 20;
    private static final String CERTIFICATE = "clientCertificateData";
    private static final String KEY = "clientKeyData";

    private final Path file;
    private final Tree content;
    private final Map<String, String> environment;
    private final Duration programTimeout;

    private Kubeconfig(Path file, Tree content, Map<String, String> environment, Duration programTimeout) {
        this.file = file;
        this.content = content;
        this.environment = environment;
        this.programTimeout = programTimeout;
    }

    /** Returns the first file of {@code KUBECONFIG}, or the one in the home directory. */
    static Path place(Map<String, String> environment) {
        return Optional.ofNullable(environment.get("KUBECONFIG"))
                .map(paths -> paths.split(File.pathSeparator)[0])
                .filter(path -> !path.isBlank())
                .map(Path::of)
                .orElseGet(() -> Path.of(environment.getOrDefault("HOME", "/"), ".kube", "config"));
    }

    /**
     * Reads a file.
     *
     * @throws CallFailure if it cannot be used, with what to do
     */
    static Kubeconfig read(Path file, Map<String, String> environment) throws CallFailure {
        return read(file, environment, PROGRAM_TIMEOUT);
    }

    /** @param programTimeout the time that a program has to return credentials */
    static Kubeconfig read(Path file, Map<String, String> environment, Duration programTimeout) throws CallFailure {
        try {
            Object loaded = new Load(LoadSettings.builder().build()).loadFromString(Files.readString(file));
            return new Kubeconfig(file, new Tree(json(loaded)), environment, programTimeout);
        } catch (IOException e) {
            throw new CallFailure("The kubeconfig " + file + " cannot be read: pass --kubeconfig, or set KUBECONFIG", false);
        } catch (YamlEngineException e) {
            // Omits the message, which quotes the file.
            throw new CallFailure("The kubeconfig " + file + " is not in YAML", false);
        }
    }

    /**
     * Returns the API server and the identity of a context. Runs the program that the context names, if there is one.
     *
     * @param context instead of the current one
     * @throws CallFailure if it cannot be used, with what to do
     */
    KubeAccess access(Optional<String> context) throws CallFailure {
        String chosen = context.or(() -> content.at("current-context").text()).filter(name -> !name.isEmpty())
                .orElseThrow(() -> unusable("has no current context: pass --context"));
        Tree wanted = named("contexts", "context", chosen);
        Tree cluster = named("clusters", "cluster", wanted.at("cluster").text().orElse(""));
        String user = wanted.at("user").text().orElse("");
        Tree identity = user.isEmpty() ? new Tree(null) : named("users", "user", user);
        if (cluster.at("insecure-skip-tls-verify").isTrue()) {
            throw unusable("disables verification of the API server's certificate, which doctor does not support: set its"
                    + " certificate authority");
        }
        URI server = cluster.at("server").text().flatMap(Kubeconfig::url)
                .orElseThrow(() -> unusable("has no valid server URL in context " + chosen));
        Optional<byte[]> authority = bytes(cluster, "certificate-authority");
        Optional<TrustManager[]> trust = authority.isPresent()
                ? Optional.of(KubeAccess.trust(authority.get(), file.toString()))
                : Optional.empty();
        Identity shown = identity(identity);
        return new KubeAccess(
                server,
                shown.token,
                new Route(cluster.at("proxy-url").text().map(URI::create), trust, shown.certificate),
                "the user " + user + " of " + file);
    }

    private Identity identity(Tree user) throws CallFailure {
        if (user.at("exec").there()) {
            return ofProgram(user.at("exec"));
        }
        Optional<byte[]> certificate = bytes(user, "client-certificate");
        Optional<byte[]> key = bytes(user, "client-key");
        Optional<String> token = user.at("tokenFile").text().isPresent()
                ? Optional.of(new String(content(user.at("tokenFile").text().get()), StandardCharsets.UTF_8).strip())
                : user.at("token").text();
        return new Identity(token, certificate.isPresent() && key.isPresent()
                ? Optional.of(certificate(certificate.get(), key.get()))
                : Optional.empty());
    }

    private static PemKeyCertOptions certificate(byte[] certificate, byte[] key) {
        return new PemKeyCertOptions().setCertValue(Buffer.buffer(certificate)).setKeyValue(Buffer.buffer(key));
    }

    private Identity ofProgram(Tree exec) throws CallFailure {
        List<String> command = new ArrayList<>();
        command.add(exec.at("command").text().orElseThrow(() -> unusable("names no program in exec")));
        exec.at("args").each().forEach(argument -> argument.text().ifPresent(command::add));
        String program = command.get(0);
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().putAll(environment);
        exec.at("env").each().forEach(variable -> variable.at("name").text().ifPresent(name ->
                builder.environment().put(name, variable.at("value").text().orElse(""))));
        builder.environment().put("KUBERNETES_EXEC_INFO", new JsonObject()
                .put("apiVersion", exec.at("apiVersion").text().orElse("client.authentication.k8s.io/v1"))
                .put("kind", "ExecCredential")
                .put("spec", new JsonObject().put("interactive", false))
                .encode());
        try {
            Tree status = new Tree(new JsonObject(output(builder, program))).at("status");
            Optional<PemKeyCertOptions> certificate = status.at(CERTIFICATE).text().isPresent() && status.at(KEY).text().isPresent()
                    ? Optional.of(certificate(pem(status.at(CERTIFICATE)), pem(status.at(KEY))))
                    : Optional.empty();
            return new Identity(status.at("token").text(), certificate);
        } catch (IOException e) {
            throw unusable("runs " + program + ", which cannot be started: install it, or use a kubeconfig with a token");
        } catch (DecodeException e) {
            throw unusable("runs " + program + ", which does not return credentials in JSON");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw unusable("runs " + program + ", and was interrupted: run doctor again");
        }
    }

    /** Returns the output of a program. Kills the program and its children if they take too long or write too much. */
    private String output(ProcessBuilder builder, String program) throws IOException, InterruptedException, CallFailure {
        long start = System.nanoTime();
        Process process = builder.start();
        try {
            process.getOutputStream().close();
            FutureTask<byte[]> output = new FutureTask<>(() -> process.getInputStream().readNBytes(MOST_OUTPUT + 1));
            Thread reader = new Thread(output, "exec-credentials");
            reader.setDaemon(true);
            reader.start();
            byte[] bytes = output.get(programTimeout.toNanos(), TimeUnit.NANOSECONDS);
            if (bytes.length > MOST_OUTPUT) {
                throw unusable("runs " + program + ", which writes more than 1 MiB: check that it returns credentials only");
            }
            if (!process.waitFor(programTimeout.toNanos() - (System.nanoTime() - start), TimeUnit.NANOSECONDS)) {
                throw hanging(program);
            }
            if (process.exitValue() != 0) {
                throw unusable("runs " + program + ", which fails: run it yourself to see why");
            }
            return new String(bytes, StandardCharsets.UTF_8);
        } catch (TimeoutException e) {
            throw hanging(program);
        } catch (ExecutionException e) {
            throw new IOException(e.getCause());
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
    }

    private CallFailure hanging(String program) {
        return unusable("runs " + program + ", which has not finished after " + programTimeout.toMillis()
                + " ms: run it yourself to see whether it waits for input");
    }

    private static byte[] pem(Tree text) {
        return text.text().orElse("").getBytes(StandardCharsets.UTF_8);
    }

    /** Returns data from the kubeconfig itself, or from the file that it names. */
    private Optional<byte[]> bytes(Tree of, String name) throws CallFailure {
        Optional<String> data = of.at(name + "-data").text();
        if (data.isPresent()) {
            try {
                return Optional.of(Base64.getMimeDecoder().decode(data.get()));
            } catch (IllegalArgumentException e) {
                throw unusable("has a " + name + "-data that is not in Base64");
            }
        }
        Optional<String> path = of.at(name).text();
        return path.isPresent() ? Optional.of(content(path.get())) : Optional.empty();
    }

    private byte[] content(String path) throws CallFailure {
        // Relative to the file that names it.
        Path named = file.toAbsolutePath().resolveSibling(path);
        try {
            return Files.readAllBytes(named);
        } catch (IOException e) {
            throw unusable("names " + named + ", which cannot be read");
        }
    }

    private Tree named(String list, String kind, String name) throws CallFailure {
        return content.at(list).each().stream()
                .filter(one -> one.at("name").text().equals(Optional.of(name)))
                .findFirst()
                .map(one -> one.at(kind))
                .orElseThrow(() -> unusable("has no " + kind + " \"" + name + '"'));
    }

    private static Optional<URI> url(String text) {
        try {
            URI url = URI.create(text);
            return url.getHost() == null ? Optional.empty() : Optional.of(url);
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private CallFailure unusable(String what) {
        return new CallFailure("The kubeconfig " + file + " " + what, false);
    }

    private static Object json(Object loaded) {
        if (loaded instanceof Map<?, ?> map) {
            JsonObject object = new JsonObject();
            map.forEach((name, value) -> object.put(String.valueOf(name), json(value)));
            return object;
        }
        if (loaded instanceof List<?> list) {
            JsonArray array = new JsonArray();
            list.forEach(value -> array.add(json(value)));
            return array;
        }
        return loaded;
    }

    /** The credentials for the API server; a secret. */
    private record Identity(Optional<String> token, Optional<PemKeyCertOptions> certificate) {

        @Override
        public String toString() {
            return "Identity";
        }
    }
}
