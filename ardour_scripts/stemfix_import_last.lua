ardour {
  ["type"] = "EditorAction",
  name = "stemfix: Import last result",
  license = "GPL",
  author = "stemfix",
  description = [[Bring the stems of this session's last job in again.]],
}

function factory () return function ()
  local ok, why = pcall (function ()
    assert (loadfile (ARDOUR.user_config_directory (-1) .. "/scripts/stemfix_lib.lua")) ().run ("import_last")
  end)
  if not ok then
    LuaDialog.Message ("stemfix", "stemfix can't be loaded: " .. tostring (why) .. ". Run: stemfix daw install ardour",
      LuaDialog.MessageType.Error, LuaDialog.ButtonType.Close):run ()
  end
end end
