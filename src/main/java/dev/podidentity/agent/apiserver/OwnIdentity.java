package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.apiserver.OwnAccount.Account;
import io.fabric8.kubernetes.client.http.BasicBuilder;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.fabric8.kubernetes.client.http.HttpResponse;
import io.fabric8.kubernetes.client.http.Interceptor;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Adds the token of the agent's service account to each call to the API server over HTTPS. After a 401 it reads the token's
 * file again, and retries once if the file contains another token. The library's own interceptor would read files on the
 * event loop, and would send a token over plain HTTP.
 */
final class OwnIdentity implements Interceptor {

    static final String NAME = "agent";

    private static final String AUTHORIZATION = "Authorization";
    private static final int UNAUTHORIZED = 401;

    private final OwnAccount account;
    private final boolean secure;

    /** @param secure whether the token may be sent */
    OwnIdentity(OwnAccount account, boolean secure) {
        this.account = account;
        this.secure = secure;
    }

    @Override
    public void before(BasicBuilder builder, HttpRequest request, RequestTags tags) {
        authorization(account.latest()).ifPresent(value -> builder.setHeader(AUTHORIZATION, value));
    }

    @Override
    public CompletableFuture<Boolean> afterFailure(BasicBuilder builder, HttpResponse<?> response, RequestTags tags) {
        if (response.code() != UNAUTHORIZED || !secure) {
            return CompletableFuture.completedFuture(false);
        }
        Optional<String> shown = Optional.ofNullable(response.request().header(AUTHORIZATION));
        return account.look().map(now -> {
            Optional<String> other = authorization(Optional.of(now)).filter(value -> !shown.equals(Optional.of(value)));
            other.ifPresent(value -> builder.setHeader(AUTHORIZATION, value));
            return other.isPresent();
        }).toCompletionStage().toCompletableFuture();
    }

    private Optional<String> authorization(Optional<Account> of) {
        return of.filter(known -> secure).flatMap(Account::token).map(token -> "Bearer " + token);
    }
}
