-- stemfix_request: what `stemfix ardour enhance-selected` asks of the action that it is about to trigger.
return function (lib)
  local M = {}
  local files = lib.use ("files")
  --- An older request is of a trigger that never arrived.
  local MAX_AGE_S = 10

  --- The preset that was asked for just now, or nil. It is given once.
  function M.preset ()
    local path = lib.settings ().data_dir .. "/ardour_request.json"
    local request = lib.try (files.read_json, path)
    os.remove (path)
    if type (request) ~= "table" or type (request.preset) ~= "string" then return nil end
    if type (request.time) ~= "number" or math.abs (os.time () - request.time) > MAX_AGE_S then return nil end
    lib.log ("Asked for the preset:", request.preset)
    return request.preset
  end

  return M
end
