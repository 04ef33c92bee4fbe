package dev.podidentity.emulator;

import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A stand-in for EKS Auth on 127.0.0.1, for tests and for the demo. It rejects what EKS Auth rejects: every call must be
 * signed with the node's credentials, and carry a token that its own {@link TokenMint} has signed. All methods may be called
 * from any thread. Only {@link #start}, {@link #close}, {@link #refuseConnections} and {@link #acceptConnections} block.
 *
 * <p>Other processes control it over HTTP. Invalid requests get status 400 and the reason.
 *
 * <table>
 *   <caption>Controls</caption>
 *   <tr><td>{@code PUT /emulator/fault}</td><td>{@link #inject(Fault)}, see below</td></tr>
 *   <tr><td>{@code DELETE /emulator/fault}</td><td>{@link #heal()}</td></tr>
 *   <tr><td>{@code GET /emulator/calls}</td><td>{@code {"calls":3,"inFlight":0,"maxInFlight":2}}</td></tr>
 *   <tr><td>{@code DELETE /emulator/calls}</td><td>{@link #resetCounts()}</td></tr>
 *   <tr><td>{@code POST /emulator/token}</td><td>returns a token as plain text, for the request
 *       {@code {"namespace":"default","serviceAccount":"demo","pod":"demo-0","lifetimeSeconds":86400}}; the lifetime is
 *       optional</td></tr>
 * </table>
 *
 * <p>A fault is one of these objects. Add {@code "times":n} to limit it to the next calls, and {@code "after-millis":n} to
 * delay it:
 *
 * <pre>{@code
 * {"type":"latency","millis":300}
 * {"type":"error","name":"ThrottlingException"}
 * {"type":"error","status":418,"name":"TeapotException","message":"Short and stout"}
 * {"type":"hang"}
 * {"type":"reset"}
 * {"type":"truncated"}
 * {"type":"slow-body","millis":20}
 * {"type":"other-subject","namespace":"default","serviceAccount":"other"}
 * {"type":"not-json"}
 * {"type":"empty-body"}
 * {"type":"redirect"}
 * {"type":"missing-field","field":"credentials.accessKeyId"}
 * {"type":"wrong-type","field":"credentials"}
 * {"type":"short-expiry","seconds":60}
 * }</pre>
 */
public final class EksAuthEmulator implements AutoCloseable {

    private static final String HOST = "127.0.0.1";
    private static final Pattern ASSUME_ROLE = Pattern.compile("/clusters/([^/]+)/assume-role-for-pod-identity");

    private final EmulatorConfig config;
    private final Vertx vertx;
    private final TokenMint tokens;
    private final Associations associations;
    private final CallLog calls = new CallLog();
    private final Faults faults = new Faults();
    private volatile Consumer<Issued> issued = answer -> { };
    private final AssumeRoleRoute assumeRole;
    private final ControlRoute control;
    private final URI endpoint;
    // Guarded by this.
    private HttpServer server;

    private EksAuthEmulator(EmulatorConfig config) {
        this.config = config;
        this.vertx = Vertx.vertx(new VertxOptions()
                .setEventLoopPoolSize(1)
                .setFileSystemOptions(
                        new FileSystemOptions().setClassPathResolvingEnabled(false).setFileCachingEnabled(false)));
        this.tokens = new TokenMint(config.audience());
        this.associations = new Associations(config.associations());
        this.assumeRole = new AssumeRoleRoute(vertx, config, associations, tokens, calls, faults, answer -> issued.accept(answer));
        this.control = new ControlRoute(tokens, calls, faults);
        this.server = listen(config.port());
        this.endpoint = URI.create("http://" + HOST + ":" + server.actualPort());
    }

    private HttpServer listen(int port) {
        // Java's own HTTP client requests HTTP/2 from every server; SDKs call EKS Auth over HTTP/1.1.
        HttpServer listening = vertx.createHttpServer(new HttpServerOptions().setHttp2ClearTextEnabled(false))
                .requestHandler(request -> request.body().onSuccess(body -> route(request, body)));
        try {
            return listening.listen(port, HOST).toCompletionStage().toCompletableFuture().join();
        } catch (CompletionException e) {
            close();
            throw new IllegalStateException("Cannot listen on " + HOST + ":" + port, e.getCause());
        }
    }

    /** Starts an emulator with {@link EmulatorConfig#defaults()}. */
    public static EksAuthEmulator start() {
        return start(EmulatorConfig.defaults());
    }

    /**
     * Starts an emulator; it listens when this method returns.
     *
     * @throws IllegalStateException if the port is in use
     */
    public static EksAuthEmulator start(EmulatorConfig config) {
        return new EksAuthEmulator(config);
    }

    private void route(HttpServerRequest request, Buffer body) {
        Matcher path = ASSUME_ROLE.matcher(request.path());
        if (request.path().startsWith("/emulator/")) {
            control.handle(request, body);
        } else if (path.matches() && request.method().equals(HttpMethod.POST)) {
            assumeRole.handle(request, path.group(1), body);
        } else {
            request.response()
                    .setStatusCode(404)
                    .putHeader("x-amzn-ErrorType", "UnknownOperationException")
                    .end();
        }
    }

    /** Returns the value for the agent's {@code --endpoint}. */
    public URI endpoint() {
        return endpoint;
    }

    /** Returns the mint of the tokens that this emulator accepts. */
    public TokenMint tokens() {
        return tokens;
    }

    public String clusterName() {
        return config.clusterName();
    }

    public String region() {
        return config.region();
    }

    /** Returns the access key ID that must sign calls. */
    public String accessKeyId() {
        return config.nodeAccessKeyId();
    }

    /** Returns the secret key that must sign calls. */
    public String secretAccessKey() {
        return config.nodeSecretAccessKey();
    }

    /** Returns the session token that calls must have; empty for long-term credentials. */
    public Optional<String> sessionToken() {
        return config.nodeSessionToken();
    }

    /** Associates a role with a service account; replaces its current role. */
    public void associate(String namespace, String serviceAccount, String roleArn) {
        associations.put(Association.of(namespace, serviceAccount, roleArn));
    }

    /** Removes the role of a service account; does not affect issued credentials. */
    public void disassociate(String namespace, String serviceAccount) {
        associations.remove(namespace, serviceAccount);
    }

    /** Applies the fault to every call until {@link #heal()}; replaces the fault injected before. */
    public void inject(Fault fault) {
        faults.inject(fault);
    }

    /** Applies the fault to the next calls, after those calls for which a fault was already injected. */
    public void inject(Fault fault, int times) {
        faults.inject(fault, times);
    }

    /** Applies the fault to every call with this token until {@link #heal()}, with precedence over all other faults. */
    public void injectFor(String token, Fault fault) {
        faults.injectFor(token, fault);
    }

    /**
     * Holds back all calls from now on, before faults and checks, until the gate is released. If calls are already held
     * back, returns their gate.
     */
    public Gate hold() {
        return faults.hold();
    }

    /** Ends all faults and releases the gate. Calls that hang keep hanging. */
    public void heal() {
        faults.heal();
    }

    /** Closes all connections and refuses new ones until {@link #acceptConnections()}. Blocks until this is done. */
    public synchronized void refuseConnections() {
        server.close().toCompletionStage().toCompletableFuture().join();
    }

    /** Listens on the same port again after {@link #refuseConnections()}. */
    public synchronized void acceptConnections() {
        server = listen(endpoint.getPort());
    }

    /** Reports all credentials from now on, just before they are sent. Called on the event loop: must not block. */
    public void onIssued(Consumer<Issued> listener) {
        issued = listener;
    }

    /** Returns the number of calls since the start or {@link #resetCounts()}, whatever their result. */
    public int calls() {
        return calls.calls();
    }

    /** Returns the number of {@link #calls()} with this token. */
    public int calls(String token) {
        return calls.calls(token);
    }

    /** Returns the number of calls that have neither a response nor been abandoned by the client. */
    public int inFlight() {
        return calls.inFlight();
    }

    /** Returns the maximum of {@link #inFlight()} since the start or {@link #resetCounts()}. */
    public int maxInFlight() {
        return calls.maxInFlight();
    }

    /** Returns when the last call ended, in the nanoseconds of {@link System#nanoTime()}. */
    public long lastEnd() {
        return calls.lastEnd();
    }

    /** Returns the last 10,000 of {@link #calls()}, oldest first. */
    public List<ReceivedCall> received() {
        return calls.received();
    }

    /** Completes when {@link #calls()} reaches the number, on a thread that may block. */
    public CompletableFuture<Void> whenCalls(int count) {
        return calls.whenCalls(count);
    }

    /** Resets the counts. Calls in flight stay in flight. */
    public void resetCounts() {
        calls.reset();
    }

    /** Closes all connections and blocks until this is done. */
    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
