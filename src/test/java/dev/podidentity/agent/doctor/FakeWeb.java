package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.buffer.Buffer;
import java.net.ConnectException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Answers calls by method and URL; what it does not know cannot be reached. */
final class FakeWeb implements Web {

    final List<Ask> asked = new ArrayList<>();
    private final Map<String, ApiAnswer> answers = new HashMap<>();

    FakeWeb answer(String methodAndUrl, int status, String body) {
        return answer(methodAndUrl, new ApiAnswer(status, Buffer.buffer(body), Optional.empty()));
    }

    FakeWeb answer(String methodAndUrl, ApiAnswer answer) {
        answers.put(methodAndUrl, answer);
        return this;
    }

    @Override
    public ApiAnswer ask(Ask ask) throws CallFailure {
        asked.add(ask);
        ApiAnswer answer = answers.get(ask.method() + " " + ask.url());
        if (answer == null) {
            throw ask.callee().of(new ConnectException());
        }
        return answer;
    }
}
