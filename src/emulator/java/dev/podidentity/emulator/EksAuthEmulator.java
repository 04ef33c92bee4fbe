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
 * A stand-in for EKS Auth on 127.0.0.1, for tests and for the demo. It refuses what EKS Auth refuses: every call must
 * be signed with the node's credentials, and carry a token that its own {@link TokenMint} has signed. All methods may
 * be called from any thread; none blocks but {@link #start}, {@link #close}, {@link #refuseConnections} and
 * {@link #acceptConnections}.
 *
 * <p>Other processes control it over HTTP. A request that cannot be used is answered with 400 and the reason.
 *
 * <table>
 *   <caption>Controls</caption>
 *   <tr><td>{@code PUT /emulator/fault}</td><td>{@link #inject(Fault)}, see below</td></tr>
 *   <tr><td>{@code DELETE /emulator/fault}</td><td>{@link #heal()}</td></tr>
 *   <tr><td>{@code GET /emulator/calls}</td><td>{@code {"calls":3,"inFlight":0,"maxInFlight":2}}</td></tr>
 *   <tr><td>{@code DELETE /emulator/calls}</td><td>{@link #resetCounts()}</td></tr>
 *   <tr><td>{@code POST /emulator/token}</td><td>a token in plain text, for
 *       {@code {"namespace":"default","serviceAccount":"demo","pod":"demo-0","lifetimeSeconds":86400}}; the last may be
 *       left out</td></tr>
 * </table>
 *
 * <p>A fault is one of these, each with {@code "times":n} if it is only for the next calls, and with
 * {@code "after-millis":n} if it is to happen late:
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
        // Java's own HTTP client asks every server for HTTP/2; EKS Auth speaks HTTP/1.1 with the SDKs.
        HttpServer listening = vertx.createHttpServer(new HttpServerOptions().setHttp2ClearTextEnabled(false))
                .requestHandler(request -> request.body().onSuccess(body -> route(request, body)));
        try {
            return listening.listen(port, HOST).toCompletionStage().toCompletableFuture().join();
        } catch (CompletionException e) {
            close();
            throw new IllegalStateException("Cannot listen on " + HOST + ":" + port, e.getCause());
        }
    }

    /** Starts one with {@link EmulatorConfig#defaults()}. */
    public static EksAuthEmulator start() {
        return start(EmulatorConfig.defaults());
    }

    /**
     * Starts one; it listens when this returns.
     *
     * @throws IllegalStateException if the port is taken
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

    /** What the agent's {@code --endpoint} is to be. */
    public URI endpoint() {
        return endpoint;
    }

    /** Mints the tokens that this emulator accepts. */
    public TokenMint tokens() {
        return tokens;
    }

    public String clusterName() {
        return config.clusterName();
    }

    public String region() {
        return config.region();
    }

    /** Of the credentials with which calls must be signed. */
    public String accessKeyId() {
        return config.nodeAccessKeyId();
    }

    /** Of the credentials with which calls must be signed. */
    public String secretAccessKey() {
        return config.nodeSecretAccessKey();
    }

    /** Of the credentials with which calls must be signed; empty if they are long-term ones. */
    public Optional<String> sessionToken() {
        return config.nodeSessionToken();
    }

    /** Gives the service account this role, in place of the one that it may have. */
    public void associate(String namespace, String serviceAccount, String roleArn) {
        associations.put(Association.of(namespace, serviceAccount, roleArn));
    }

    /** Takes the role away; credentials that were given out for it are not affected. */
    public void disassociate(String namespace, String serviceAccount) {
        associations.remove(namespace, serviceAccount);
    }

    /** Applies the fault to every call until {@link #heal()}, in place of the one that was injected before. */
    public void inject(Fault fault) {
        faults.inject(fault);
    }

    /** Applies the fault to the next calls, after those for which one was injected like this before. */
    public void inject(Fault fault, int times) {
        faults.inject(fault, times);
    }

    /** Applies the fault to every call with this token until {@link #heal()}, and before any other fault. */
    public void injectFor(String token, Fault fault) {
        faults.injectFor(token, fault);
    }

    /**
     * Holds back all calls from now on, before faults and checks, until the gate is released. While they are held
     * already, this returns the gate that holds them.
     */
    public Gate hold() {
        return faults.hold();
    }

    /** Ends all faults and releases the gate. A call that hangs stays so. */
    public void heal() {
        faults.heal();
    }

    /** Closes all connections and refuses new ones until {@link #acceptConnections()}. Waits until that is so. */
    public synchronized void refuseConnections() {
        server.close().toCompletionStage().toCompletableFuture().join();
    }

    /** Listens at the same place again after {@link #refuseConnections()}. */
    public synchronized void acceptConnections() {
        server = listen(endpoint.getPort());
    }

    /** Tells somebody of all credentials from now on, just before they are sent. On the event loop: must not block. */
    public void onIssued(Consumer<Issued> listener) {
        issued = listener;
    }

    /** The calls that arrived since the start or {@link #resetCounts()}, whatever became of them. */
    public int calls() {
        return calls.calls();
    }

    /** Those of {@link #calls()} that had this token. */
    public int calls(String token) {
        return calls.calls(token);
    }

    /** The calls that are neither answered nor given up by the client. */
    public int inFlight() {
        return calls.inFlight();
    }

    /** The highest {@link #inFlight()} since the start or {@link #resetCounts()}. */
    public int maxInFlight() {
        return calls.maxInFlight();
    }

    /** When the last call was answered, in the nanoseconds of {@link System#nanoTime()}. */
    public long lastEnd() {
        return calls.lastEnd();
    }

    /** The last 10,000 of {@link #calls()}, oldest first. */
    public List<ReceivedCall> received() {
        return calls.received();
    }

    /** Completes when {@link #calls()} has reached the number, on a thread that may block. */
    public CompletableFuture<Void> whenCalls(int count) {
        return calls.whenCalls(count);
    }

    /** Starts counting anew. Calls in flight stay in flight. */
    public void resetCounts() {
        calls.reset();
    }

    /** Closes all connections and waits until that is done. */
    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
