"""MLPRegressor."""

from sklearn.base import _fit_context
from sklearn.neural_network._multilayer_perceptron import MLPRegressor as _SklearnMLPRegressor
from sklearn.utils.metaestimators import available_if

from fastml.neural_network._mlp import MultilayerPerceptron


class MLPRegressor(MultilayerPerceptron, _SklearnMLPRegressor):
    """Multi-layer perceptron for values.

    scikit-learn's estimator of this name, with its parameters, attributes and results.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default="squared_error"
        Half of the squared error, or of the Poisson deviance, for which the output is an exponential.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Of hidden layers.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
    alpha : float, default=0.0001
        Strength of the L2 penalty on ``coefs_``, divided by the size of a batch.
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples). "lbfgs" takes all rows at once.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Of "sgd": constant, divided by t ** power_t, or divided by 5 whenever training stops getting better.
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs, or iterations of "lbfgs".
    shuffle : bool, default=True
        Whether rows are permuted before each epoch.
    random_state : int, RandomState or None, default=None
        Of initial weights, the rows held out, and permutations.
    tol : float, default=1e-4
        Training stops after ``n_iter_no_change`` epochs that improve the loss (or the score) by less.
    verbose : bool, default=False
    warm_start : bool, default=False
    momentum : float, default=0.9
        Of "sgd".
    nesterovs_momentum : bool, default=True
    early_stopping : bool, default=False
        Whether to stop by the score on ``validation_fraction`` of the rows, which are held out.
    validation_fraction : float, default=0.1
    beta_1 : float, default=0.9
        Of "adam", as beta_2 and epsilon.
    beta_2 : float, default=0.999
    epsilon : float, default=1e-8
    n_iter_no_change : int, default=10
    max_fun : int, default=15000
        Evaluations of the objective by "lbfgs" at most.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (units, units of the next layer)
        Of X's dtype.
    intercepts_ : list of ndarray
    loss_ : float
        Mean over the last epoch.
    best_loss_ : float or None
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float or None
        The score of each epoch with ``early_stopping``.
    best_validation_score_ : float or None
    t_ : int
        Samples seen.
    n_iter_ : int
    n_layers_ : int
    n_outputs_ : int
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has string column names.

    Notes
    -----
    With the same ``random_state`` initial weights and the order of rows are scikit-learn's, so that results differ by
    rounding only. An interrupt ends the stochastic solvers with a warning, and the weights of the last step stay.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastml.neural_network import MLPRegressor
    >>> X = np.linspace(-1.0, 1.0, 50).reshape(-1, 1)
    >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> bool(model.score(X, X[:, 0] ** 2) > 0.99)
    True
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or weights that are not finite in the end.
        """
        return self._fit(X, y, sample_weight)

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Run one epoch over the given rows, from where the last call stopped.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            C-contiguous float32 or float64 is used where it lies; anything else is converted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid input, or weights that are not finite in the end.
        """
        return self._fit(X, y, sample_weight, incremental=True)
